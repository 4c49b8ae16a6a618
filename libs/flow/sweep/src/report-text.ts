import { csvLine } from '@xva/runtime';
import type { MarkedItem, SweepReport } from './items.ts';

const columns = ['kind', 'id', 'action', 'rule', 'reason', 'bytes', 'tasks', 'etag', 'account', 'container', 'run'];

/** The items of a report as CSV (a spreadsheet takes every cell as text), one line each, page by page. */
export async function* reportCsv(pages: AsyncIterable<readonly MarkedItem[]>): AsyncGenerator<string> {
  yield `${columns.join(',')}\r\n`;
  for await (const items of pages) {
    yield items
      .map(({ kind, id, action, rule, reason, bytes, tasks, etag, place, runId }) =>
        csvLine([
          kind,
          id,
          action,
          rule,
          reason,
          bytes,
          tasks,
          etag,
          place?.account ?? null,
          place?.container ?? null,
          runId ?? null,
        ]),
      )
      .map((line) => `${line}\r\n`)
      .join('');
  }
}

export function escapeHtml(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  // Control characters and direction overrides can make a name look like another.
  return text
    .replaceAll(/[&<>"']/g, (character) => entities[character] ?? '')
    .replaceAll(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '\ufffd');
}

const row = (cells: readonly (string | number)[], tag = 'td'): string =>
  `<tr>${cells.map((cell) => `<${tag}>${escapeHtml(String(cell))}</${tag}>`).join('')}</tr>\n`;

/** A report as a page for people: totals, what would go and why (at most `most` items), what was kept. No scripts, nothing loaded. */
export async function* reportHtml(
  report: SweepReport,
  pages: AsyncIterable<readonly MarkedItem[]>,
  most = 5_000,
): AsyncGenerator<string> {
  const { reportId, totals, classes, kept, saved } = report;
  yield `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(reportId)}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>body{font:14px sans-serif;margin:2em}table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #bbb;padding:2px 8px;text-align:left}</style></head>
<body><h1>Sweep report ${escapeHtml(reportId)}</h1>
<p>Policy ${escapeHtml(report.policy)}, marked at ${escapeHtml(report.markedAt)}. Looked at ${report.looked}; marked ${totals.items} (${totals.bytes} bytes, ${totals.tasks} tasks).
${saved === null ? '' : `Saves about ${saved.perMonth.toFixed(2)} ${escapeHtml(saved.currency)} a month.`} Nothing was taken.</p>\n`;
  for (const note of report.notes) yield `<p><strong>${escapeHtml(note)}</strong></p>\n`;
  yield `<h2>By class</h2><table>${row(['class', 'items', 'bytes', 'tasks'], 'th')}`;
  for (const [name, total] of Object.entries(classes)) yield row([name, total.items, total.bytes, total.tasks]);
  yield `</table><h2>Would go</h2><table>${row(['kind', 'id', 'action', 'rule', 'reason', 'bytes'], 'th')}`;
  let shown = 0;
  for await (const items of pages) {
    const some = items.slice(0, most - shown);
    shown += some.length;
    yield some.map((item) => row([item.kind, item.id, item.action, item.rule, item.reason, item.bytes])).join('');
    if (shown >= most) break;
  }
  yield `</table>${shown < totals.items ? `<p>… and ${totals.items - shown} more: see the CSV.</p>` : ''}`;
  yield `<h2>Kept</h2><table>${row(['reason', 'items'], 'th')}`;
  for (const [name, count] of Object.entries(kept)) yield row([name, count]);
  yield '</table></body></html>\n';
}
