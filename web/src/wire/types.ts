// The wire's names, as the rest of the page uses them. The shapes are generated (src/generated/protocol.ts).
import type { Frame as AnyFrame, Record as AnyRecord, Request as AnyRequest } from '../generated/protocol';

export type {
  AgentInfo,
  ErrorBody,
  ErrorCode,
  Hit,
  LeftProcess,
  Limits,
  Outcome,
  Role,
  RunningTurn,
  SessionState,
  Viewer,
} from '../generated/protocol';

export type Request = AnyRequest;
export type Frame = AnyFrame;
export type EventRecord = AnyRecord;
export type EventFrame = { type: 'event' } & EventRecord;
export type Incoming = (Frame & { id?: string | number | null }) | EventFrame;

export type FrameOf<T extends Frame['type']> = Extract<Frame, { type: T }>;
export type Hello = FrameOf<'hello'>;
export type Attached = FrameOf<'attached'>;
