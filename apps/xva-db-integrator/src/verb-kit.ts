import { cliExitCodes, CliError, type Verb, type VerbContext } from '@xva/runtime';
import { compose, type Composition, type Station } from './compose.ts';
import type { configSchema } from './config.ts';

export type Context = VerbContext<typeof configSchema>;
export type IntegratorVerb = Verb<typeof configSchema>;

/** Composes, uses, and closes; when the grace time is over what is still under way is let go of. */
export async function withComposition(
  context: Context,
  use: (composition: Composition) => Promise<void>,
): Promise<void> {
  const composition = compose(context.config, context.logger);
  const { stopWorking } = context.lifecycle;
  const overtime = new Promise<void>((resolve) => {
    stopWorking.addEventListener('abort', () => resolve(), { once: true });
  });
  try {
    await Promise.race([use(composition), overtime]);
  } finally {
    await Promise.race([composition.close(stopWorking.aborted), overtime]);
  }
}

/** All stations, or the one that is named. @throws CliError (5) for a name that no enabled definition has */
export function chosen(composition: Composition, name: string | boolean | undefined): readonly Station[] {
  if (typeof name !== 'string') return composition.stations;
  const found = composition.stations.filter(({ definition }) => definition.name === name);
  if (found.length > 0) return found;
  const known = composition.stations.map(({ definition }) => definition.name).join(', ');
  throw new CliError(`no enabled definition is called ${name} (there are: ${known})`, cliExitCodes.refused);
}
