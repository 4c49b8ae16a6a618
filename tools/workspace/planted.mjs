import nx from '@nx/eslint-plugin';
import { ESLint } from 'eslint';
import tseslint from 'typescript-eslint';
import { boundaries, depConstraints, ensureProjectGraph } from './boundaries.mjs';

/** Reads `[{file, code}]` on stdin, lints each text as if it lay in that file, prints the boundary messages per entry. */
await ensureProjectGraph();
const eslint = new ESLint({
  overrideConfigFile: true,
  overrideConfig: [
    {
      files: ['**/*.ts'],
      plugins: { '@nx': nx },
      languageOptions: { parser: tseslint.parser },
      rules: { '@nx/enforce-module-boundaries': boundaries(depConstraints) },
    },
  ],
});
let text = '';
for await (const chunk of process.stdin) text += chunk;
const answers = [];
for (const { file, code } of JSON.parse(text)) {
  const [result] = await eslint.lintText(code, { filePath: file });
  answers.push(result.messages.map((message) => message.message));
}
console.log(JSON.stringify(answers));
