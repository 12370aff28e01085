/** Sockets passed by systemd (sd_listen_fds(3)): which descriptor is which server's. */

const FIRST_FD = 3;

export interface PassedSockets {
  readonly cni?: number;
  readonly read?: number;
  readonly admin?: number;
  /** TCP, on loopback */
  readonly http?: number;
}

/**
 * By LISTEN_FDNAMES "cni", "read", "admin" and "http"; without names, the first three in that order. The variables are
 * removed, so that no child takes them for its own.
 */
export function passedSockets(env: NodeJS.ProcessEnv, pid: number): PassedSockets {
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES } = env;
  delete env.LISTEN_PID;
  delete env.LISTEN_FDS;
  delete env.LISTEN_FDNAMES;
  const count = Number(LISTEN_FDS);
  if (LISTEN_PID !== String(pid) || !Number.isInteger(count) || count < 1) return {};
  const names = LISTEN_FDNAMES === undefined ? ["cni", "read", "admin"] : LISTEN_FDNAMES.split(":");
  const passed: { cni?: number; read?: number; admin?: number; http?: number } = {};
  for (const [index, name] of names.slice(0, count).entries()) {
    if (name === "cni" || name === "read" || name === "admin" || name === "http") passed[name] = FIRST_FD + index;
  }
  return passed;
}
