import { describeBatchPort, describeRunStore } from '@xva/testkit';
import { World } from './world.ts';

describeRunStore('the fake', () => new World().runs);

describeBatchPort('the fake', () => {
  const world = new World();
  return {
    batch: world.batch,
    poolId: 'pool',
    commands: { succeed: 'true', fail: 'fail' },
    runTasks: async () => {
      for (const found of world.runnable()) world.finish(found, found.task.spec.commandLine === 'fail' ? 30 : 0);
    },
  };
});
