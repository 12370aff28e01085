/** Started by systemd-socket-activate in a test: the API on passed sockets, until its standard input ends. "--http": HTTP, too. */
import { startApi } from "../../daemon/api/server.ts";
import { FakeBackend, recordingLog, rootPeer } from "./api-fake.ts";

const api = await startApi({
  backend: new FakeBackend(),
  kernel: rootPeer,
  runDirectory: "/nonexistent/run",
  http: process.argv.includes("--http") ? { host: "127.0.0.1", port: 0 } : null,
  log: recordingLog().log,
});
process.stdin.resume();
process.stdin.once("end", () => void api.close());
