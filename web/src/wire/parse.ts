// Text from the socket to a frame. Only what the page steers by is checked here (the type, an event's envelope);
// what it merely shows is treated as hostile where it is shown.
import type { EventRecord, Incoming } from './types';

/** The frame in `text`, or null when it is none that this page could know. */
export function parseFrame(text: string): Incoming | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(value) || typeof value['type'] !== 'string') return null;
  if (value['type'] === 'event' && !isRecord(value)) return null;
  return value as unknown as Incoming;
}

/** Whether `value` has an event's envelope; its body may be anything. */
export function isRecord(value: unknown): value is EventRecord {
  return (
    isObject(value) &&
    typeof value['session'] === 'string' &&
    typeof value['turn'] === 'string' &&
    typeof value['time'] === 'string' &&
    typeof value['kind'] === 'string' &&
    Number.isSafeInteger(value['seq']) &&
    (value['seq'] as number) >= 1
  );
}

/** Whatever an event's field holds, as text to show. */
export function asText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value === undefined || value === null) return '';
  return JSON.stringify(value) ?? '';
}

/** Whatever an event's field holds, as a number of something, if it is one. */
export function asCount(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null;
}

export function isObject(value: unknown): value is { [key: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
