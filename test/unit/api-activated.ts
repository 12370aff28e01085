/** Started by systemd-socket-activate in a test: the API on passed sockets, until its standard input ends. */
import { startApi } from "../../daemon/api/server.ts";
import { FakeBackend, recordingLog, rootPeer } from "./api-fake.ts";

const api = await startApi({
  backend: new FakeBackend(),
  kernel: rootPeer,
  runDirectory: "/nonexistent/run",
  http: null,
  log: recordingLog().log,
});
process.stdin.resume();
process.stdin.once("end", () => void api.close());
