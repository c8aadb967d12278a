// Generated from docs/protocol.schema.json by `npm run types`. Do not edit.

/**
 * A request, by its `type`.
 */
export type Request =
  | {
      type: 'attach';
      session: SessionId;
      /**
       * The last seq that the client has; 0 when absent.
       */
      after?: Seq | null;
      /**
       * Only the newest so many events; not together with `after`.
       */
      tail?: number | null;
      /**
       * The epoch that `after` belongs to.
       */
      epoch?: Epoch | null;
    }
  | {
      type: 'detach';
      session: SessionId;
    }
  | {
      type: 'create';
      /**
       * A client-made id.
       */
      session?: SessionId | null;
      /**
       * What people call it.
       */
      title?: string | null;
      /**
       * Which agent: `claude` or `drill`.
       */
      agent?: string | null;
      /**
       * The model for turns that do not name one.
       */
      model?: string | null;
    }
  | {
      type: 'prompt';
      session: SessionId;
      /**
       * The prompt.
       */
      text: string;
      key: PromptKey;
      /**
       * The model, if not the session's.
       */
      model?: string | null;
    }
  | {
      type: 'cancel';
      session: SessionId;
      /**
       * Only if it is this turn.
       */
      turn?: TurnId | null;
    }
  | {
      type: 'watch';
    }
  | {
      type: 'unwatch';
    }
  | {
      type: 'ping';
    };
export type SessionId = string;
/**
 * The place of an event in its session's log: 1, 2, 3 … without a hole. 0 stands before the first.
 */
export type Seq = number;
export type Epoch = string;
export type PromptKey = string;
export type TurnId = string;
/**
 * A frame from the gateway, by its `type`.
 */
export type Frame =
  | {
      type: 'hello';
      /**
       * Protocol version.
       */
      protocol: number;
      /**
       * Program and version.
       */
      server: string;
      epoch: Epoch;
      /**
       * Who the client is.
       */
      name: string;
      role: Role;
      limits: Limits;
      /**
       * The agents that sessions can choose.
       */
      agents: AgentInfo[];
    }
  | {
      type: 'attached';
      session: SessionId;
      epoch: Epoch;
      head: Seq;
      from: Seq;
      state: SessionState;
    }
  | {
      type: 'detached';
      session: SessionId;
    }
  | {
      type: 'created';
      session: SessionId;
      state: SessionState;
    }
  | (Accepted & {
      type: 'accepted';
    })
  | {
      type: 'cancelling';
      session: SessionId;
      turn: TurnId;
    }
  | {
      type: 'watching';
    }
  | {
      type: 'watching_live';
    }
  | {
      type: 'unwatched';
    }
  | {
      type: 'pong';
    }
  | {
      type: 'caught_up';
      session: SessionId;
      seq: Seq;
    }
  | {
      type: 'restarting';
      /**
       * When to come back, milliseconds from now.
       */
      reconnect_ms: number;
    }
  | {
      type: 'session';
      state: SessionState;
    }
  | {
      type: 'presence';
      session: SessionId;
      /**
       * Who is attached now.
       */
      viewers: Viewer[];
    }
  | (ErrorBody & {
      type: 'error';
    });
/**
 * What a token may do.
 */
export type Role = 'viewer' | 'auditor' | 'operator';
/**
 * How a turn ended.
 */
export type Outcome = 'ok' | 'error' | 'cancelled' | 'timeout' | 'lost';
/**
 * Why a request failed.
 */
export type ErrorCode =
  | 'bad_request'
  | 'not_found'
  | 'unauthorized'
  | 'forbidden'
  | 'busy'
  | 'at_capacity'
  | 'conflict'
  | 'epoch_changed'
  | 'too_large'
  | 'rate_limited'
  | 'unavailable'
  | 'no_agent'
  | 'internal';
/**
 * A frame with the id of the request that it answers.
 */
export type Reply = {
  /**
   * The request's own id.
   */
  id?: RequestId | null;
} & Reply1;
/**
 * A client's own name for a request; the reply carries it back.
 */
export type RequestId = string | number;
export type Reply1 =
  | {
      type: 'hello';
      /**
       * Protocol version.
       */
      protocol: number;
      /**
       * Program and version.
       */
      server: string;
      epoch: Epoch;
      /**
       * Who the client is.
       */
      name: string;
      role: Role;
      limits: Limits;
      /**
       * The agents that sessions can choose.
       */
      agents: AgentInfo[];
    }
  | {
      type: 'attached';
      session: SessionId;
      epoch: Epoch;
      head: Seq;
      from: Seq;
      state: SessionState;
    }
  | {
      type: 'detached';
      session: SessionId;
    }
  | {
      type: 'created';
      session: SessionId;
      state: SessionState;
    }
  | (Accepted & {
      type: 'accepted';
    })
  | {
      type: 'cancelling';
      session: SessionId;
      turn: TurnId;
    }
  | {
      type: 'watching';
    }
  | {
      type: 'watching_live';
    }
  | {
      type: 'unwatched';
    }
  | {
      type: 'pong';
    }
  | {
      type: 'caught_up';
      session: SessionId;
      seq: Seq;
    }
  | {
      type: 'restarting';
      /**
       * When to come back, milliseconds from now.
       */
      reconnect_ms: number;
    }
  | {
      type: 'session';
      state: SessionState;
    }
  | {
      type: 'presence';
      session: SessionId;
      /**
       * Who is attached now.
       */
      viewers: Viewer[];
    }
  | (ErrorBody & {
      type: 'error';
    });
/**
 * A whole event record: the envelope, then the body (protocol.md section 2).
 */
export type Record = {
  session: SessionId;
  seq: Seq;
  /**
   * When it was logged: UTC, RFC 3339, milliseconds.
   */
  time: string;
  turn: TurnId;
  /**
   * The agent's own id of a tool use: the same on a `tool` and its `tool_result`.
   */
  ref?: string | null;
  /**
   * Set when long strings in the body were cut so that the record is at most 1 MiB.
   */
  truncated?: boolean;
} & Record1;
export type Record1 =
  | {
      kind: 'user';
      /**
       * The prompt.
       */
      text: string;
      /**
       * Who asked: the name of a token, or of a proxy's user.
       */
      by: string;
      /**
       * The model that the agent is told to use.
       */
      model: string;
    }
  | {
      kind: 'session';
      /**
       * The agent's own name for the conversation.
       */
      session_id: string;
    }
  | {
      kind: 'text';
      /**
       * One block of prose, never empty.
       */
      text: string;
    }
  | {
      kind: 'tool';
      /**
       * The tool's name.
       */
      name: string;
      /**
       * What it was called with.
       */
      input: {
        [k: string]: unknown;
      };
    }
  | {
      kind: 'tool_result';
      /**
       * Whether the tool failed.
       */
      is_error: boolean;
      /**
       * Its output; of a long one the head and the tail.
       */
      output: string;
      /**
       * The full length of its output, bytes.
       */
      bytes: number;
    }
  | {
      kind: 'result';
      /**
       * Whether the agent calls it a failure.
       */
      is_error: boolean;
      /**
       * The final words, as the agent gave them.
       */
      result: unknown;
      /**
       * Milliseconds by the agent's own clock, as it gave them.
       */
      duration_ms: unknown;
    }
  | (Status & {
      kind: 'status';
    })
  | {
      kind: 'error';
      /**
       * What went wrong: the agent's stderr, or what the gateway saw.
       */
      error: string;
    }
  | {
      kind: 'cancelled';
      /**
       * Who.
       */
      by: string;
    }
  | (TurnEnd & {
      kind: 'turn_end';
    });
/**
 * The body of a `status` event.
 */
export type Status = {
  /**
   * The same in words, for people.
   */
  detail: string;
} & Status1;
export type Status1 =
  | {
      state: 'retrying';
      /**
       * Which attempt failed, from 1.
       */
      attempt: number;
      /**
       * How many there will be.
       */
      max_attempts: number;
      /**
       * How long until the next, milliseconds.
       */
      wait_ms: number;
    }
  | {
      state: 'adopted';
    }
  | {
      state: 'new_conversation';
    };

/**
 * Everything that goes over the wire, each under its own name.
 */
export interface TheBreakglassProtocolVersion1 {
  request: Request;
  frame: Frame;
  reply: Reply;
  record: Record;
}
/**
 * What a client may send.
 */
export interface Limits {
  /**
   * The longest frame, bytes.
   */
  max_frame: number;
  /**
   * The longest prompt, bytes of UTF-8.
   */
  max_prompt: number;
  /**
   * How many sessions one connection may have attached.
   */
  max_attached: number;
}
/**
 * An agent that sessions can choose.
 */
export interface AgentInfo {
  /**
   * Its name.
   */
  name: string;
  /**
   * Whether its program is on this machine.
   */
  available: boolean;
}
/**
 * A session's summary.
 */
export interface SessionState {
  session: SessionId;
  /**
   * What people call it.
   */
  title: string;
  /**
   * When it was made: UTC, RFC 3339, milliseconds.
   */
  created: string;
  /**
   * Who made it.
   */
  created_by: string;
  /**
   * Which agent works in it.
   */
  agent: string;
  /**
   * The model for turns that do not name one.
   */
  model: string;
  /**
   * Whether the agent has opened its conversation.
   */
  started: boolean;
  head: Seq;
  /**
   * When something last happened in it.
   */
  last_activity: string;
  /**
   * The running turn.
   */
  turn?: RunningTurn | null;
  /**
   * How its last finished turn ended; absent before the first has.
   */
  last_outcome?: Outcome | null;
  /**
   * How many connections have it attached.
   */
  viewers: number;
  /**
   * Whether it was put away.
   */
  archived: boolean;
}
/**
 * A turn that runs now.
 */
export interface RunningTurn {
  turn: TurnId;
  /**
   * Who asked.
   */
  by: string;
  /**
   * Since when.
   */
  since: string;
}
/**
 * The answer to an accepted prompt. Also the body of `POST /api/sessions/{id}/prompts`.
 */
export interface Accepted {
  session: SessionId;
  turn: TurnId;
  seq: Seq;
  /**
   * Whether the key had been accepted before, so that nothing was started.
   */
  duplicate: boolean;
}
/**
 * Some of those who are attached to a session: one entry for each name and role.
 */
export interface Viewer {
  /**
   * Who.
   */
  name: string;
  role: Role;
  /**
   * With how many connections.
   */
  connections: number;
}
/**
 * An error, with the fields that its code brings.
 */
export interface ErrorBody {
  code: ErrorCode;
  /**
   * What was wrong, where, and what to do.
   */
  message: string;
  /**
   * `busy`: the running turn.
   */
  turn?: TurnId | null;
  /**
   * `busy`: who asked for it.
   */
  by?: string | null;
  /**
   * `busy`: since when.
   */
  since?: string | null;
  /**
   * `epoch_changed`: this log's epoch.
   */
  epoch?: Epoch | null;
  /**
   * `epoch_changed`: this log's head.
   */
  head?: Seq | null;
  /**
   * `rate_limited`: how long to wait.
   */
  retry_after_ms?: number | null;
}
/**
 * The body of a `turn_end` event.
 */
export interface TurnEnd {
  outcome: Outcome;
  /**
   * The agent's exit code; null when a signal ended it or nobody knows.
   */
  exit_code?: number | null;
  /**
   * From the prompt's acceptance to the end of the agent, milliseconds.
   */
  duration_ms: number;
  /**
   * Processes of the agent that live on.
   */
  left?: LeftProcess[];
  /**
   * How many secrets were cut out of the turn's events; absent when none was.
   */
  masked?: number;
}
/**
 * A process that the agent started and that outlives the turn.
 */
export interface LeftProcess {
  /**
   * Its process id.
   */
  pid: number;
  /**
   * Its command line, shortened.
   */
  command: string;
}
