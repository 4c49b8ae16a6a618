import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Router, type Response } from 'express';
import swaggerFolder from 'swagger-ui-dist/absolute-path.js';

/** Everything of the page comes from here: no other host, no inline script or style. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>XVA batch controller: API</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" href="docs/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
`;

const start = `window.addEventListener('load', () => {
  window.ui = SwaggerUIBundle({ url: '/openapi.json', dom_id: '#swagger-ui', deepLinking: true, persistAuthorization: false });
});
`;

const assets: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
};

function send(response: Response, type: string, body: string | Buffer): void {
  response.setHeader('content-security-policy', policy);
  response.setHeader('cache-control', 'public, max-age=3600');
  response.type(type).send(body);
}

/** The interactive page at `/docs`, from files of `swagger-ui-dist` that are read when they are first asked for. */
export function docsPage(): Router {
  const router = Router({ caseSensitive: true, strict: true });
  const read = new Map<string, Buffer>();
  router.get('/docs', (_request, response) => send(response, 'text/html; charset=utf-8', page));
  router.get('/docs/start.js', (_request, response) => send(response, 'text/javascript; charset=utf-8', start));
  for (const [name, type] of Object.entries(assets)) {
    router.get(`/docs/${name}`, (_request, response) => {
      const bytes = read.get(name) ?? readFileSync(join(swaggerFolder(), name));
      read.set(name, bytes);
      send(response, type, bytes);
    });
  }
  return router;
}
