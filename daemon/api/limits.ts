/** What one client may cost the daemon. */
export interface Limits {
  /** bytes */
  readonly body: number;
  /** connections of a server; more are told BUSY, and above twice as many are not accepted at all */
  readonly connections: number;
  /** attach requests being worked on or waiting for their turn */
  readonly work: number;
  /** event streams of a server */
  readonly streams: number;
  /** bytes that wait for one slow reader of events before it is cut */
  readonly streamBuffer: number;
  /** ms for the request's headers, and for the whole request */
  readonly headerTimeout: number;
  readonly requestTimeout: number;
  /** ms between heartbeats of an event stream */
  readonly heartbeat: number;
  /** ms that requests in flight have to end at shutdown */
  readonly grace: number;
}

export const readLimits: Limits = {
  body: 256 * 1024,
  connections: 64,
  work: 128,
  streams: 16,
  streamBuffer: 256 * 1024,
  headerTimeout: 5_000,
  requestTimeout: 10_000,
  heartbeat: 15_000,
  grace: 10_000,
};

/**
 * A runtime that starts many pods at once calls the plugin once for each, and each call is a connection: they shall
 * wait in the queue of work, not be turned away at the door. Only root gets this far.
 */
export const attachLimits: Limits = { ...readLimits, connections: readLimits.work + 32 };

/** An intent of thousands of networks is some megabytes of text; only root sends it. */
export const adminLimits: Limits = { ...readLimits, body: 4 * 1024 * 1024, connections: 16 };
