// What a person does with the page, by the names that a person (or a screen reader) sees.
import { expect, type Browser, type BrowserContext, type Locator, type Page } from '@playwright/test';

export class Person {
  /** Everything that went wrong in the page's own code, or that its CSP forbade. */
  readonly complaints: string[] = [];

  private constructor(
    readonly context: BrowserContext,
    readonly page: Page,
  ) {
    page.on('pageerror', (error) => this.complaints.push(error.message));
    page.on('console', (message) => {
      if (/Content Security Policy|TrustedHTML|Trusted Type/.test(message.text())) this.complaints.push(message.text());
    });
  }

  static async arrive(browser: Browser, link: string): Promise<Person> {
    const context = await browser.newContext();
    const person = new Person(context, await context.newPage());
    await person.page.goto(link);
    return person;
  }

  get transcript(): Locator {
    return this.page.getByRole('log', { name: 'Transcript' });
  }

  get composer(): Locator {
    return this.page.getByRole('textbox', { name: 'Prompt' });
  }

  get stop(): Locator {
    return this.page.getByRole('button', { name: 'Stop the turn' });
  }

  /** The foot of the `n`th turn, from 1. */
  turnEnd(n: number): Locator {
    return this.transcript.locator('footer').nth(n - 1);
  }

  async isLive(): Promise<void> {
    await expect(this.page.getByText('live', { exact: true })).toBeVisible({ timeout: 30_000 });
  }

  async newSession(title: string, agent = 'drill'): Promise<void> {
    await this.page.getByRole('button', { name: 'New session' }).first().click();
    const dialog = this.page.getByRole('dialog');
    await dialog.getByLabel('Title').fill(title);
    await dialog.getByRole('radio', { name: agent }).check();
    await dialog.getByRole('button', { name: 'Create' }).click();
    await expect(this.page.getByRole('heading', { name: title })).toBeVisible();
  }

  async openSession(title: string): Promise<void> {
    await this.page.getByRole('complementary', { name: 'Sessions' }).getByText(title).click();
    await this.isLive();
  }

  async ask(prompt: string): Promise<void> {
    await this.composer.fill(prompt);
    await this.composer.press('Enter');
  }

  /** The seqs that are drawn, in the order of the page. */
  async seqs(): Promise<number[]> {
    return this.transcript.locator('[data-seq]').evaluateAll((rows) => rows.map((row) => Number((row as HTMLElement).dataset['seq'])));
  }

  async text(): Promise<string> {
    return this.transcript.locator('.rows').innerText();
  }
}
