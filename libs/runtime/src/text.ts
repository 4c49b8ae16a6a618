/**
 * Characters that a terminal obeys instead of showing (C0, DEL, C1, line and paragraph separators) or that change the
 * order in which others are shown (bidirectional controls, Unicode TR 9), and lone surrogates.
 */
const unprintable = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|\p{Surrogate}/gu;

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** The text on one line, safe to print: what a terminal would obey is shown as `\u001b`. */
export function printable(text: string): string {
  return text.replaceAll(unprintable, escaped);
}

/** JSON whose every character can be printed; it parses to the same value. */
export function printableJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent)
    .split('\n')
    .map((line) => printable(line))
    .join('\n');
}

/**
 * One line of CSV (RFC 4180, without its line end). A cell that a spreadsheet would calculate is given a leading
 * apostrophe, and control characters are escaped, so that what comes from outside stays text.
 */
export function csvLine(cells: readonly (string | number | null)[]): string {
  return cells
    .map((cell) => {
      if (cell === null) return '';
      if (typeof cell === 'number') return String(cell);
      const text = printable(cell);
      const guarded = /^\s*[=+\-@]/.test(text) ? `'${text}` : text;
      return /[",]|^\s|\s$/.test(guarded) ? `"${guarded.replaceAll('"', '""')}"` : guarded;
    })
    .join(',');
}
