import type { ConfigError } from './config.ts';
import { parseConfig } from './config.ts';

function file(entities: unknown, namespace: object = {}): string {
  const one = { Type: 'EventHub', Name: 'emulatorNs1', Entities: entities, ...namespace };
  return JSON.stringify({ UserConfig: { NamespaceConfig: [one], LoggingConfig: { Type: 'File' } } });
}

describe('Config.json', () => {
  it('takes the partition count as text or number and the groups as listed', () => {
    const text = file([
      { Name: 'eh1', PartitionCount: '2', ConsumerGroups: [{ Name: 'cg1' }] },
      { Name: 'eh2', PartitionCount: 32 },
    ]);
    expect(parseConfig(text, 'Config.json')).toEqual({
      name: 'emulatorNs1',
      hubs: [
        { name: 'eh1', partitionCount: 2, consumerGroups: ['cg1'] },
        { name: 'eh2', partitionCount: 32, consumerGroups: [] },
      ],
    });
  });

  it('names every fault at once', () => {
    const text = file(
      [
        { Name: 'bad name', PartitionCount: '0', ConsumerGroups: [{ Name: '$default' }, { Name: 'a' }, { Name: 'A' }] },
        { Name: 'dup', PartitionCount: 'two' },
        { Name: 'DUP', PartitionCount: 33, Retention: 1 },
      ],
      { Type: 'ServiceBus' },
    );
    let faults: readonly string[] = [];
    try {
      parseConfig(text, 'Config.json');
    } catch (error) {
      faults = (error as ConfigError).faults;
    }
    const entities = 'UserConfig.NamespaceConfig.0.Entities';
    for (const expected of [
      'UserConfig.NamespaceConfig.0.Type',
      `${entities}.0.Name`,
      `${entities}.0.PartitionCount`,
      `${entities}.0.ConsumerGroups.0.Name: $Default always exists`,
      `${entities}.1.PartitionCount`,
      `${entities}.2.PartitionCount`,
    ]) {
      expect(faults.join('\n')).toContain(expected);
    }
    expect(() => parseConfig('{', 'x.json')).toThrow(/x\.json: 1 fault\(s\)\n {2}- not JSON/);
    expect(() =>
      parseConfig(
        file([
          { Name: 'a', PartitionCount: 1 },
          { Name: 'A', PartitionCount: 1 },
        ]),
        'x',
      ),
    ).toThrow("event hub 'A' is listed twice");
  });
});
