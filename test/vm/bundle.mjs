// @ts-check
// Test files made ready for a slow machine: bundled once here, so that nothing is compiled and little is looked up there.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { ROOT } from "../../scripts/setup/root.mjs";

/** A source asks where it lies, to find what lies beside it: a bundle lies elsewhere. */
const keepPlaces = {
  name: "keep-places",
  setup(/** @type {import("esbuild").PluginBuild} */ { onLoad }) {
    onLoad({ filter: /\/(daemon|test)\/.*\.(ts|mjs)$/ }, ({ path: file }) => {
      const places = { dirname: path.dirname(file), filename: file, url: pathToFileURL(file).href };
      const contents = readFileSync(file, "utf8").replace(
        /\bimport\.meta\.(dirname|filename|url)\b/g,
        (_, /** @type {keyof typeof places} */ which) => JSON.stringify(places[which]),
      );
      return { contents, loader: "ts" };
    });
  },
};

/**
 * @param {readonly string[]} files relative to the root
 * @param {string} directory of the bundles, with a package of its own, as ava wants it
 */
export async function bundle(files, directory) {
  rmSync(directory, { recursive: true, force: true });
  await build({
    absWorkingDir: ROOT,
    entryPoints: [...files],
    outdir: directory,
    outbase: ROOT,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true,
    platform: "node",
    format: "esm",
    target: "node20",
    external: ["ava", "ffi-napi"],
    plugins: [keepPlaces],
    banner: {
      js: 'import { createRequire as createRequireForBundle } from "node:module";\nconst require = createRequireForBundle(import.meta.url);',
    },
    logLevel: "warning",
  });
  writeFileSync(path.join(directory, "package.json"), JSON.stringify({ type: "module" }));
  const ava = { files: ["test/**/*.test.mjs"], extensions: ["mjs"], workerThreads: false, timeout: "9m" };
  writeFileSync(path.join(directory, "ava.config.mjs"), `export default ${JSON.stringify(ava)};\n`);
}
