import { cliExitCodes, CliError, printable, type Verb } from '@xva/runtime';
import type { AuditLog } from '../audit/audit-log.ts';
import type { AuditLine } from '../audit/line.ts';
import { verifyAudit, type Anchor } from '../audit/verify.ts';
import { compose } from '../compose.ts';
import type { configSchema } from '../config.ts';
import { integerOption, textOption, unknownVerb, type Context, type Options } from './ask.ts';

const known = ['verify', 'list'] as const;

function anchorOf(text: string | undefined): Anchor | undefined {
  if (text === undefined) return undefined;
  const match = /^(\d{4}-\d{2}-\d{2}):(\d{1,12}):([0-9a-f]{64})$/.exec(text);
  if (match?.[1] === undefined || match[2] === undefined || match[3] === undefined)
    throw new CliError('--anchor takes what an earlier verify printed: day:line:hash', cliExitCodes.usage);
  return { day: match[1], sequence: Number(match[2]), hash: match[3] };
}

async function verify(context: Context, audit: AuditLog, options: Options): Promise<void> {
  const report = await verifyAudit(audit, anchorOf(textOption(options, 'anchor')));
  const { days, lines, faults, unfinished, head } = report;
  const anchor = head === undefined ? 'none' : `${head.day}:${head.sequence}:${head.hash}`;
  const text = [
    ...faults.map((fault) => `FAULT ${fault.day} line ${fault.sequence}: ${fault.problem}`),
    ...unfinished.map((id) => `request ${id} was begun and its end is not known`),
    `${lines} lines of ${days} days, ${faults.length} faults`,
    `anchor ${anchor}`,
  ];
  context.output({ ...report, anchor }, text.join('\n'));
  if (faults.length > 0) throw new CliError(`the audit is not what was written: ${faults.length} faults`);
}

function lineText(line: AuditLine): string {
  const { at, result, name, role, operation, subject, before, after, status, code } = line;
  const change = before === null && after === null ? '' : ` ${before ?? '–'} → ${after ?? '–'}`;
  return printable(
    `${at} ${result.padEnd(7)} ${name} (${role}) ${operation} ${subject}${change} ${status} ${code}`.trimEnd(),
  );
}

async function list(context: Context, audit: AuditLog, options: Options): Promise<void> {
  const day = textOption(options, 'day');
  const subject = textOption(options, 'subject');
  const last = integerOption(options, 'last', 1, 1_000_000) ?? 100;
  const kept: AuditLine[] = [];
  for (const one of day === undefined ? await audit.days() : [day]) {
    for await (const line of audit.lines(one)) {
      if (subject !== undefined && !line.subject.includes(subject)) continue;
      kept.push(line);
      if (kept.length > last) kept.shift();
    }
  }
  for (const line of kept) context.outputLine(line, lineText(line));
}

export const auditVerb: Verb<typeof configSchema> = {
  name: 'audit',
  description: 'the record of every change: verify its chain (exit code 1 when it was tampered with), list its lines',
  args: [{ name: '<what>', description: known.join(', ') }],
  options: [
    { flags: '--anchor <anchor>', description: 'verify: against what an earlier verify printed, kept elsewhere' },
    { flags: '--day <day>', description: 'list: of this day, YYYY-MM-DD' },
    { flags: '--subject <text>', description: 'list: whose subject holds this' },
    { flags: '--last <count>', description: 'list: the newest so many', default: '100' },
  ],
  run: async (context, [what], options) => {
    if (!known.some((one) => one === what)) throw unknownVerb('audit', what, known);
    const day = textOption(options, 'day');
    if (day !== undefined && !/^\d{4}-\d{2}-\d{2}$/.test(day))
      throw new CliError('--day takes a date such as 2026-09-30', cliExitCodes.usage);
    const { audit, prepareLedger, close } = compose(context.config, context.logger);
    try {
      await prepareLedger();
      await (what === 'verify' ? verify : list)(context, audit, options);
    } finally {
      close();
    }
  },
};
