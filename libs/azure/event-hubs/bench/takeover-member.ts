/** `takeover-member.ts OPTIONS`: one member of a consumer group; prints `own <partition>` and `event <partition> <id>`. */
import { EventConsumer, type EventConsumerOptions, type HubEvent } from '../src/index.ts';

const options = JSON.parse(process.argv[2] ?? '{}') as EventConsumerOptions;
const say = (line: string): void => void process.stdout.write(`${line}\n`);
process.stdin.on('end', () => process.exit(0)).resume();

await new EventConsumer(options).subscribe({
  open: (handle) => {
    say(`own ${handle.partitionId}`);
    return {
      receive: async (events: readonly HubEvent[]) => {
        for (const event of events) say(`event ${event.partitionId} ${Buffer.from(event.body).toString('utf8')}`);
        const last = events.at(-1);
        if (last !== undefined) await handle.checkpoint(last);
      },
      release: () => Promise.resolve(),
    };
  },
  onError: () => undefined,
});
