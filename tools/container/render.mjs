/** Thrown when a template asks for something that nobody gave, or what came out breaks a rule of the house. */
export class TemplateError extends Error {
  name = 'TemplateError';
}

/** Fills `{{key}}`; an unknown key is an error, never an empty text. */
export function render(template, values) {
  return template.replaceAll(/\{\{([A-Za-z]+)\}\}/g, (_match, key) => {
    const value = values[key];
    if (value === undefined) throw new TemplateError(`the template asks for {{${key}}}, which is not given`);
    return value;
  });
}

/** The rules that every image keeps, checked where no container engine is at hand; returns what is wrong. */
export function lintDockerfile(text) {
  const lines = text
    .replaceAll('\\\n', ' ')
    .split('\n')
    .map((line) => line.trim());
  const has = (pattern) => lines.some((line) => pattern.test(line));
  const faults = [];
  if (lines.filter((line) => /^FROM /.test(line)).length < 2) faults.push('is not multi-stage');
  if (!has(/^USER [1-9][0-9]*:[1-9][0-9]*$/)) faults.push('does not run as a numbered non-root user');
  if (!has(/^HEALTHCHECK /)) faults.push('says nothing about health');
  if (!has(/^ENTRYPOINT \[/)) faults.push('has no entry point in exec form');
  if (has(/^ADD /)) faults.push('uses ADD, which fetches and unpacks');
  if (has(/(password|secret|token|accountkey)\s*=/i)) faults.push('seems to hold a secret');
  if (/\{\{|\}\}/.test(text)) faults.push('has an unfilled placeholder');
  if (has(/:latest\b/)) faults.push('uses a floating tag');
  return faults;
}
