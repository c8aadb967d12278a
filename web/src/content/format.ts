// Durations, times and sizes, as people say them. Pure.

export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  const seconds = ms / 1_000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} days`;
}

/** The same without the small change: "2 min", "11 minutes" are told apart by nobody at three in the morning. */
export function roughly(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} days`;
}

/** Milliseconds from `time` (RFC 3339) to now; 0 when `time` is none or lies ahead (clocks differ). */
export function sinceMs(time: string, now_ms: number): number {
  const then = Date.parse(time);
  return Number.isFinite(then) ? Math.max(0, now_ms - then) : 0;
}

// Made once: making one takes longer than using it a thousand times.
const HOURS = new Intl.DateTimeFormat([], { hour: '2-digit', minute: '2-digit' });
const DAY = new Intl.DateTimeFormat([], { day: 'numeric', month: 'short', year: 'numeric' });

/** The time of day; with the date when it was before today. */
export function timeOfDay(time: string, today_ms: number): string {
  const then_ms = Date.parse(time);
  if (!Number.isFinite(then_ms)) return '';
  const hours = HOURS.format(then_ms);
  return then_ms >= today_ms ? hours : `${DAY.format(then_ms)} ${hours}`;
}

export function bytes(count: number): string {
  if (count < 1_024) return `${count} bytes`;
  if (count < 1_048_576) return `${(count / 1_024).toFixed(1)} KiB`;
  return `${(count / 1_048_576).toFixed(1)} MiB`;
}

export function plural(count: number, one: string): string {
  return `${count} ${one}${count === 1 ? '' : 's'}`;
}
