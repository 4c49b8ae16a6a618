/**
 * Where the work on an event, a part or a partition may end, in order. A test names one and the process is killed there;
 * `midPart` and `midUpload` lie within a part's stream (the second only for parts that are sent in blocks).
 */
export const crashPoints = [
  'afterReceive',
  'afterLoad',
  'afterPackage',
  'beforePart',
  'midPart',
  'midUpload',
  'afterPart',
  'beforeManifest',
  'afterUpload',
  'afterSubmit',
  'beforeBury',
  'afterBury',
  'beforeCheckpoint',
  'afterCheckpoint',
  'atRelease',
] as const;
export type CrashPoint = (typeof crashPoints)[number];
