/** The installed service under a real systemd: how long callers wait after a kill and during a restart, and how long a boot takes. */
import { Machine, missingForMachine, NETWORK } from "../../support/systemd-machine.ts";
import type { Figure } from "../figure.ts";
import { column, interleave, type Sample } from "../rounds.ts";
import type { Row } from "../row.ts";
import { median, ratios } from "../stats.ts";

const PEER = "a Node.js service that only answers";

/** What Node and systemd alone cost: one socket, one answer, restarted like ours. */
const BARE_SOCKET = `[Socket]
ListenStream=/run/bare.sock
`;
const BARE_SERVICE = `[Unit]
StartLimitIntervalSec=0
[Service]
ExecStart=/usr/bin/node -e 'require("http").createServer((_, answer) => answer.end()).listen({ fd: 3 })'
Restart=always
RestartSec=1
`;

interface Service {
  readonly unit: string;
  /** curl's arguments: a call that a running service answers */
  readonly call: readonly string[];
}
const OURS: Service = {
  unit: "portwrightd.service",
  call: ["--unix-socket", "/run/portwright/cni.sock", "http://localhost/v1/attachments"],
};
const BARE: Service = { unit: "bare.service", call: ["--unix-socket", "/run/bare.sock", "http://localhost/"] };

export const service: Row = {
  name: "service",
  run: async ({ scope, quick }) => {
    const missing = missingForMachine();
    if (missing !== "") throw new Error(`needs ${missing}`);
    const machine = await Machine.boot({ teardown: (end) => scope.defer(end) });
    await machine.enable(NETWORK);
    await machine.write("/etc/systemd/system/bare.socket", BARE_SOCKET);
    await machine.write("/etc/systemd/system/bare.service", BARE_SERVICE);
    await machine.systemctl("start", "bare.socket", "bare.service");
    for (const name of ["a", "b"]) await machine.add(name);

    const measure = async ({ unit, call }: Service): Promise<Sample> => {
      const answer = () => machine.output("curl", ["-s", "-f", ...call]);
      await answer();
      const killed = performance.now();
      await machine.systemctl("kill", "--signal=KILL", unit);
      await answer(); // curl knocks once: it waited in the queue
      const restarted = performance.now();
      await machine.systemctl("restart", unit);
      await answer();
      return { kill: (restarted - killed) / 1000, restart: (performance.now() - restarted) / 1000 };
    };
    const contenders = [
      { name: "ours", measure: () => measure(OURS) },
      { name: PEER, measure: () => measure(BARE) },
    ];
    const samples = await interleave(contenders, { warmups: 1, counted: quick ? 3 : 7, signal: scope.signal });
    const boots: number[] = [];
    for (let round = 0; round < (quick ? 1 : 3); round++) {
      const begun = performance.now();
      await machine.reboot();
      boots.push((performance.now() - begun) / 1000);
    }
    const figure = (what: string, key: string, must: number): Figure => {
      const [ours, peer] = [column(samples, "ours", key), column(samples, PEER, key)];
      return {
        ...{ what, ours: median(ours), peer: median(peer), unit: "s", peerName: PEER, ratio: ratios(ours, peer) },
        ...{ bound: { sense: "at-most", must, aim: must / 2, unit: "s" }, judged: "ours" },
      };
    };
    const security = await machine.output("systemd-analyze", ["security", OURS.unit]);
    const exposure = /exposure level for \S+: ([\d.]+)/.exec(security)?.[1] ?? "unknown";
    return {
      figures: [figure("kill -9 to an answered call", "kill", 4), figure("restart to an answered call", "restart", 2)],
      notes: [
        "RestartSec=1 is in both; a call is a process of its own",
        `reboot of the container until all units are active: ${median(boots).toFixed(2)} s; exposure ${exposure}`,
      ],
      samples: { samples, boots },
    };
  },
};
