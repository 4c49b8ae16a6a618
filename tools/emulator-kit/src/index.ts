export { FaultBoard, seededRandom, type FaultAction, type FaultRule } from './faults.ts';
export { Transcript, type TranscriptEntry } from './transcript.ts';
export { openStore } from './store.ts';
export { closeServer, listen, trackSockets } from './listen.ts';
export { createControlServer, type ControlOptions, type ControlVerb } from './control.ts';
export { runEmulator, type StartedEmulator } from './run.ts';
