import { changedManifest, loginPage, otherParts, silence, type Misbehaviour } from './front.ts';

/** What an input API might answer instead of a package, and the dead letter that each book gets for it. */
export const nonsense: readonly {
  readonly what: string;
  readonly book: string;
  readonly mode: Misbehaviour;
  readonly reason: string;
  readonly says: RegExp;
}[] = [
  { what: 'not at all', book: 'SILENT', mode: silence, reason: 'input-api-unavailable', says: /given up after/ },
  { what: 'a log-in page', book: 'LOGIN', mode: loginPage, reason: 'input-api-nonsense', says: /log in/i },
  {
    what: 'the package of another event',
    book: 'OTHER',
    mode: changedManifest((manifest) => ({ ...manifest, eventId: '0'.repeat(32) })),
    reason: 'package-invalid',
    says: /eventId is 0{32}/,
  },
  {
    what: 'a package without one of the trades',
    book: 'LOST',
    mode: changedManifest((manifest) => ({
      ...manifest,
      nettingSets: (manifest['nettingSets'] as { id: string }[]).filter((set) => set.id !== 'NS_ELBE'),
    })),
    reason: 'package-invalid',
    says: /trade FXF_0001 of netting set NS_ELBE is missing without a word/,
  },
  {
    what: 'parts that are not what the manifest says',
    book: 'PARTS',
    mode: otherParts,
    reason: 'part-differs',
    says: /another hash/,
  },
];
