/** How often the daemon changed something in the kernel. It stands still while nothing is to be done. */
import { Counter, type Registry } from "prom-client";
import type { Namespace } from "../../kernel/kernel.ts";
import { PREFIX } from "./family.ts";

export function countKernelWrites(registry: Registry, namespace: Pick<Namespace, "writes">): void {
  registry.registerMetric(
    new Counter({
      name: `${PREFIX}kernel_writes_total`,
      help: "Requests to the kernel that change something: netlink messages and bpf calls",
      labelNames: ["subsystem"],
      registers: [],
      collect() {
        this.reset();
        const { netlink, bpf } = namespace.writes;
        this.inc({ subsystem: "netlink" }, netlink);
        this.inc({ subsystem: "bpf" }, bpf);
      },
    }),
  );
}
