import { readFileSync } from 'node:fs';
import { parseContractText } from '@xva/contracts';
import { sweepPolicySchema, type SweepPolicy } from '@xva/flow-sweep';
import { cliExitCodes, CliError } from '@xva/runtime';

/** @throws CliError when the file is missing or breaks a rule; every fault is named. */
export function loadPolicy(file: string): SweepPolicy {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new CliError(`policy file ${file} cannot be read: ${(error as Error).message}`, cliExitCodes.badConfig);
  }
  try {
    return parseContractText(sweepPolicySchema, text, `policy ${file}`);
  } catch (error) {
    throw new CliError((error as Error).message, cliExitCodes.badConfig);
  }
}
