// What axe has against a page, one line for each rule that is broken.
import axe from 'axe-core';
import type { Page } from '@playwright/test';

type Found = { id: string; nodes: { html: string; failureSummary?: string }[] };

export async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const found = await page.evaluate(async () => {
    const { axe: engine } = window as unknown as { axe: { run(): Promise<{ violations: Found[] }> } };
    return (await engine.run()).violations;
  });
  return found.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary ?? ''}`).join('\n  ')}`);
}
