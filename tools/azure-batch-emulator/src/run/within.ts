import { realpath } from 'node:fs/promises';
import { sep } from 'node:path';

/** The real path of a file that lies in a directory once all links are followed; otherwise, or without one, undefined. */
export async function within(directory: string, file: string): Promise<string | undefined> {
  try {
    const [root, found] = await Promise.all([realpath(directory), realpath(file)]);
    return found === root || found.startsWith(root + sep) ? found : undefined;
  } catch {
    return undefined;
  }
}
