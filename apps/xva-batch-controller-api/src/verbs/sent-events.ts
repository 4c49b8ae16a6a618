export interface SentEvent {
  readonly id: string | undefined;
  readonly event: string;
  readonly data: string;
}

/** Events of a `text/event-stream` as they come (HTML Living Standard, section 9.2.6). */
export async function* sentEvents(response: Response): AsyncGenerator<SentEvent> {
  if (response.body === null) return;
  let rest = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    const blocks = `${rest}${decoder.decode(chunk, { stream: true })}`.split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const fields = block.split('\n').map((line) => /^(\w*): ?(.*)$/.exec(line));
      const valueOf = (name: string): string | undefined => fields.findLast((field) => field?.[1] === name)?.[2];
      const data = fields.flatMap((field) => (field?.[1] === 'data' ? [field[2] ?? ''] : []));
      if (data.length > 0) yield { id: valueOf('id'), event: valueOf('event') ?? 'message', data: data.join('\n') };
    }
  }
}
