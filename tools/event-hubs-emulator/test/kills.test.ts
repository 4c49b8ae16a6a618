import { seededRandom } from '@xva/emulator-kit';
import { killCampaign } from './kills/campaign.ts';
import { letLongTimersGo, Stack } from './support.ts';

letLongTimersGo();

describe('kill -9 under load', () => {
  const stack = new Stack();
  afterEach(() => stack.close());

  it('loses nothing that was acknowledged, doubles and tears nothing, at every point of the way to the disk', async () => {
    const seed = Number(process.env['XVA_SEED'] ?? Date.now() % 1_000_000);
    const { broken, kills, acknowledged, stored } = await killCampaign(stack, 5, seededRandom(seed));
    expect({ seed, broken }).toEqual({ seed, broken: [] });
    expect(Object.values(kills)).toEqual([1, 1, 1, 1, 1]);
    expect(acknowledged).toBeGreaterThan(20);
    expect(stored).toBeGreaterThanOrEqual(acknowledged);
  });
});
