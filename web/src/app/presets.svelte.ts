// Prompts to begin with: the gateway's own, or these.
import * as api from './api';
import type { Preset } from './api';

const BUILT_IN: Preset[] = [
  { name: 'Triage', text: 'Something is wrong with this machine. Find out what, without changing anything: load, memory, disks, failed services, recent errors in the logs. Then say what you would do first.' },
  { name: 'Memory', text: 'Check memory: what uses it, whether something was killed for lack of it, and whether it grows. Change nothing.' },
  { name: 'Disk', text: 'Check the disks: full file systems and inodes, what takes the space, and disk errors in the kernel log. Change nothing.' },
  { name: 'Services', text: 'List the services that failed or restart again and again, each with the reason from its log. Change nothing.' },
  { name: 'Network', text: 'Check the network: interfaces, routes, name resolution, listening ports, and whether the usual peers can be reached. Change nothing.' },
];

class Presets {
  list: Preset[] = $state.raw(BUILT_IN);
  asked = false;
}

export const presets = new Presets();

/** Asks the gateway once, when there is a connection. */
export async function loadPresets(live: boolean): Promise<void> {
  if (!live || presets.asked) return;
  presets.asked = true;
  presets.list = (await api.presets()) ?? BUILT_IN;
}
