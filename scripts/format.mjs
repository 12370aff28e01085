// @ts-check
// `npm run format`: writes every source in the project's form, TypeScript and JSON by biome, C and C++ by clang-format.
import { execFileSync } from "node:child_process";
import path from "node:path";
import { C_FILES, clangFormat, projectFiles } from "./lint/files.mjs";
import { ROOT } from "./setup/root.mjs";

const biome = path.join(ROOT, "node_modules/@biomejs/biome/bin/biome");
execFileSync(process.execPath, [biome, "format", "--write"], { cwd: ROOT, stdio: "inherit" });
execFileSync(clangFormat(), ["-i", ...projectFiles(C_FILES)], { cwd: ROOT, stdio: "inherit" });
