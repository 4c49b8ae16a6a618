/** Thrown when a definition's state in Storage does not allow what is asked; a person decides. */
export class DefinitionStateError extends Error {
  override readonly name = 'DefinitionStateError';
  readonly definition: string;

  constructor(definition: string, problem: string) {
    super(`definition ${definition}: ${problem}`);
    this.definition = definition;
  }
}
