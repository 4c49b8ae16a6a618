import { defaultPolicy } from './auth/sas.ts';
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
    expect(parseConfig(text, 'Config.json')).toEqual([
      {
        name: 'emulatorNs1',
        policies: [defaultPolicy],
        hubs: [
          { name: 'eh1', partitionCount: 2, consumerGroups: ['cg1'] },
          { name: 'eh2', partitionCount: 32, consumerGroups: [] },
        ],
      },
    ]);
  });

  it('takes several namespaces, retention, throughput units and authorization rules with two keys', () => {
    const rule = { Name: 'reader', Rights: ['Listen'], PrimaryKey: 'k1', SecondaryKey: 'k2' };
    const root = { Name: 'RootManageSharedAccessKey', Rights: ['Manage', 'Send', 'Listen'], PrimaryKey: 'own' };
    const entity = {
      Name: 'eh',
      PartitionCount: 1,
      RetentionHours: 2,
      RetentionBytes: 1000,
      AuthorizationRules: [rule],
    };
    const namespaces = [
      { Type: 'EventHub', Name: 'one', Entities: [entity], ThroughputUnits: 2 },
      { Type: 'EventHub', Name: 'two', Entities: [{ Name: 'eh', PartitionCount: 1 }], AuthorizationRules: [root] },
    ];
    const [one, two] = parseConfig(JSON.stringify({ UserConfig: { NamespaceConfig: namespaces } }), 'Config.json');
    expect(one).toEqual({
      name: 'one',
      throughputUnits: 2,
      policies: [
        defaultPolicy,
        { name: 'reader', key: 'k1', claims: ['Listen'], hub: 'eh' },
        { name: 'reader', key: 'k2', claims: ['Listen'], hub: 'eh' },
      ],
      hubs: [{ name: 'eh', partitionCount: 1, consumerGroups: [], retentionMs: 7_200_000, retentionBytes: 1000 }],
    });
    // A rule of the default policy's name takes its place.
    expect(two!.policies).toEqual([{ name: root.Name, key: 'own', claims: root.Rights }]);
  });

  it('names every fault at once', () => {
    const text = file(
      [
        { Name: 'bad name', PartitionCount: '0', ConsumerGroups: [{ Name: '$default' }, { Name: 'a' }, { Name: 'A' }] },
        { Name: 'dup', PartitionCount: 'two' },
        { Name: 'DUP', PartitionCount: 33, Retention: 1, AuthorizationRules: [{ Name: 'r', Rights: ['Manage'] }] },
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
      `${entities}.2: Unrecognized key: "Retention"`,
      `${entities}.2.AuthorizationRules.0.Rights: Manage needs Send and Listen too`,
      `${entities}.2.AuthorizationRules.0.PrimaryKey`,
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
