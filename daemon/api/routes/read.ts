/** What can be read of the daemon's state. Nothing here changes anything. */
import type { App } from "../app.ts";
import type { Backend } from "../backend.ts";
import { errorSchema } from "../schemas/error.ts";
import { fdbSchema, networksSchema, portsSchema, statusSchema } from "../schemas/status.ts";
import { fdbViews, portViews } from "../views.ts";

type Source = Pick<Backend, "status" | "ports" | "counters" | "fdb">;

/** The same answers under /v1 for programs and under /debug for people. */
export function readRoutes(app: App, backend: Source, prefix: "/v1" | "/debug"): void {
  app.get(
    `${prefix}/status`,
    {
      schema: { summary: "The daemon and its networks", response: { 200: statusSchema, default: errorSchema } },
    },
    async (_request, reply) => reply.send(await backend.status()),
  );

  app.get(
    `${prefix}/ports`,
    {
      schema: { summary: "Switch ports with their counters", response: { 200: portsSchema, default: errorSchema } },
    },
    async (_request, reply) => {
      const [ports, counters] = await Promise.all([backend.ports(), backend.counters()]);
      return reply.send({ ports: portViews(ports, counters) });
    },
  );

  app.get(
    `${prefix}/networks`,
    {
      schema: { summary: "Networks and their probes", response: { 200: networksSchema, default: errorSchema } },
    },
    async (_request, reply) => {
      const { clusterNetworks, networks } = await backend.status();
      return reply.send({ clusterNetworks, networks });
    },
  );

  app.get(
    `${prefix}/fdb`,
    {
      schema: { summary: "Addresses that the switch knows", response: { 200: fdbSchema, default: errorSchema } },
    },
    async (_request, reply) => {
      const [entries, ports, status] = await Promise.all([backend.fdb(), backend.ports(), backend.status()]);
      return reply.send({ fdb: fdbViews(entries, ports, status) });
    },
  );
}
