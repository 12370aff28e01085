// @ts-check
// Which versions of Node can run the project. Written for an old Node to parse: no syntax newer than ES modules.

/** The same range as "engines" in package.json: what the dependencies ask for. */
export const NODE_RANGE = "^20.19.0 || ^22.12.0 || >=23";

/**
 * @param {string} version as in process.versions.node
 * @returns {string} a sentence for the user, empty if this Node will do
 */
export function nodeProblem(version) {
  const parts = version.split(".").map(Number);
  const major = parts[0] || 0;
  const minor = parts[1] || 0;
  if (major >= 23 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19)) return "";
  return `Node ${version} is not supported: Portwright needs Node 20.19 or newer of the 20 series, 22.12 or newer of the 22 series, or any from 23 on. Debian 12's own package (18) is too old; see https://nodejs.org/en/download.`;
}
