interface Preference {
  readonly type: string;
  readonly subtype: string;
  readonly quality: number;
}

function parse(header: string): readonly Preference[] {
  return header.split(',').flatMap((part) => {
    const [range = '', ...parameters] = part.split(';').map((text) => text.trim().toLowerCase());
    const [type = '', subtype = ''] = range.split('/');
    if (type === '' || subtype === '') return [];
    const quality = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
    const value = quality === undefined ? 1 : Number(quality);
    return [{ type, subtype, quality: Number.isFinite(value) ? Math.min(1, Math.max(0, value)) : 0 }];
  });
}

/** How much a media type is wanted: the most specific range that covers it decides (RFC 9110, section 12.5.1). */
function qualityOf(mediaType: string, preferences: readonly Preference[]): number {
  const [type, subtype] = mediaType.split('/');
  const ranks: readonly ((one: Preference) => boolean)[] = [
    (one) => one.type === type && one.subtype === subtype,
    (one) => one.type === type && one.subtype === '*',
    (one) => one.type === '*' && one.subtype === '*',
  ];
  for (const covers of ranks) {
    const found = preferences.find(covers);
    if (found !== undefined) return found.quality;
  }
  return 0;
}

/** The one of `offered` that `Accept` wants most, the earlier at a tie; undefined when it wants none of them. */
export function negotiate<T extends string>(header: string | undefined, offered: readonly T[]): T | undefined {
  const preferences = parse(header ?? '*/*');
  const wanted = preferences.length === 0 ? parse('*/*') : preferences;
  let best: T | undefined;
  let quality = 0;
  for (const mediaType of offered) {
    const wants = qualityOf(mediaType, wanted);
    if (wants > quality) [best, quality] = [mediaType, wants];
  }
  return best;
}
