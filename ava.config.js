// One process a file: kernel state is a process's own, and a crash of the addon must not take other files with it.
export default {
  files: ["test/{unit,bpf,netns,systemd}/**/*.test.ts"],
  extensions: { ts: "module" },
  nodeArguments: ["--import=tsx"],
  workerThreads: false,
  timeout: "2m",
};
