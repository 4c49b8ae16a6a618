import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as prettier from 'prettier';

const repositoryRoot = fileURLToPath(new URL('../../../', import.meta.url));

/** One row of a table of trials: what was done to the part, and what was seen. Both are short, stable sentences. */
export interface Trial {
  /** The table it belongs to: `crash points`, `faults`, `hostile inputs`, … */
  readonly section: string;
  readonly name: string;
  /** What was observed, as the test saw it: no times, ports, ids or seeds, since the page must not change between runs. */
  readonly observed: string;
}

/** Collects what a test file tried, and holds the page in `docs/` against it. */
export interface TrialBook {
  readonly record: (trial: Trial) => void;
  /** Ends the file (`it('its page says what was tried', () => book.close())`, last): compares the page, or writes it. */
  readonly close: () => Promise<void>;
}

/** The page as Markdown: one table per section, in the order in which sections and trials came. */
export function renderTrials(title: string, source: string, trials: readonly Trial[]): string {
  const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
  const sections = [...new Set(trials.map(({ section }) => section))].map((section) => {
    const rows = trials.filter((trial) => trial.section === section);
    const lines = rows.map(({ name, observed }) => `| ${cell(name)} | ${cell(observed)} |`);
    return `## ${section}\n\n| tried | what happened |\n| --- | --- |\n${lines.join('\n')}\n`;
  });
  return `# ${title}\n\nWritten by \`${source}\` from what it saw (${trials.length} trials); the test fails when this page differs.\n\n${sections.join('\n')}`;
}

/**
 * A book for one test file. `page` and `source` are paths from the repository's root (`docs/trials/event-controller.md`).
 * With `XVA_WRITE_DOCS=true` in the environment `close` writes the page; otherwise it throws when the page differs.
 */
export function trialBook(
  title: string,
  page: string,
  source: string,
  write = process.env['XVA_WRITE_DOCS'],
): TrialBook {
  const trials: Trial[] = [];
  return {
    record: (trial) => {
      if (trials.some(({ section, name }) => section === trial.section && name === trial.name)) {
        throw new Error(`${trial.section}: ${trial.name} was recorded twice`);
      }
      trials.push(trial);
    },
    close: async () => {
      if (trials.length === 0) throw new Error(`${source} recorded no trial`);
      const path = join(repositoryRoot, page);
      const options = { ...(await prettier.resolveConfig(path)), parser: 'markdown' };
      const text = await prettier.format(renderTrials(title, source, trials), options);
      if (write === 'true') {
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, text);
      } else if (!existsSync(path) || readFileSync(path, 'utf8') !== text) {
        throw new Error(
          `${page} is not what ${source} saw; read the difference, then run it with XVA_WRITE_DOCS=true:\n${text}`,
        );
      }
    },
  };
}
