// What a person does with the page, by the names that a person (or a screen reader) sees; on a desktop or on a phone.
import { expect, type Browser, type BrowserContext, type BrowserContextOptions, type Locator, type Page } from '@playwright/test';

/** Narrower than this, the list of sessions is a sheet and a button sends. */
const NARROW_PX = 760;

export class Person {
  /** Everything that went wrong in the page's own code, or that its CSP forbade. */
  readonly complaints: string[] = [];
  /** Every address that the page asked for and that is not the gateway's. */
  readonly elsewhere: string[] = [];

  private constructor(
    readonly context: BrowserContext,
    readonly page: Page,
    origin: string,
  ) {
    page.on('pageerror', (error) => this.complaints.push(error.message));
    page.on('console', (message) => {
      if (/Content Security Policy|TrustedHTML|Trusted Type/.test(message.text())) this.complaints.push(message.text());
    });
    context.on('request', (request) => {
      const url = new URL(request.url());
      if (url.protocol !== 'data:' && url.origin !== origin) this.elsewhere.push(request.url());
    });
  }

  static async arrive(browser: Browser, link: string, options: BrowserContextOptions = {}): Promise<Person> {
    const context = await browser.newContext(options);
    const person = new Person(context, await context.newPage(), new URL(link).origin);
    await person.page.goto(link);
    return person;
  }

  get onPhone(): boolean {
    return (this.page.viewportSize()?.width ?? 0) <= NARROW_PX;
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

  get sessions(): Locator {
    return this.page.getByRole('complementary', { name: 'Sessions' });
  }

  /** The foot of the `n`th turn that is drawn, from 1. */
  turnEnd(n: number): Locator {
    return this.transcript.locator('footer').nth(n - 1);
  }

  tool(name: string): Locator {
    return this.transcript.getByRole('article', { name });
  }

  async isLive(): Promise<void> {
    await expect(this.page.getByText('live', { exact: true })).toBeVisible({ timeout: 30_000 });
  }

  /** Brings the list of sessions onto the screen. */
  async openList(): Promise<void> {
    if (this.onPhone) await this.page.getByRole('button', { name: 'Sessions', exact: true }).click();
    await expect(this.sessions).toBeVisible();
  }

  async newSession(title: string, agent = 'drill'): Promise<void> {
    await this.openList();
    await this.sessions.getByRole('button', { name: 'New session' }).click();
    const dialog = this.page.getByRole('dialog');
    await dialog.getByLabel('Title').fill(title);
    await dialog.getByRole('radio', { name: agent }).check();
    await dialog.getByRole('button', { name: 'Create' }).click();
    await expect(this.page.getByRole('heading', { name: title })).toBeVisible();
    await this.isLive();
  }

  async openSession(title: string): Promise<void> {
    await this.openList();
    await this.sessions.getByText(title, { exact: true }).click();
    await expect(this.page.getByRole('heading', { name: title })).toBeVisible();
    await this.isLive();
  }

  /** Goes to a session by its address, as by a link in a chat. */
  async goTo(session: string, seq?: number): Promise<void> {
    const { origin } = new URL(this.page.url());
    await this.page.goto(`${origin}/#/${session}${seq === undefined ? '' : `/${seq}`}`);
    await this.isLive();
  }

  async menu(item: string): Promise<Locator> {
    await this.page.getByRole('button', { name: 'Menu' }).click();
    return this.page.locator('#menu').getByText(item, { exact: true });
  }

  async ask(prompt: string): Promise<void> {
    await this.composer.fill(prompt);
    if (this.onPhone) await this.page.getByRole('button', { name: 'Send', exact: true }).click();
    else await this.composer.press('Enter');
  }

  /** The seqs that are drawn, in the order of the page. */
  async seqs(): Promise<number[]> {
    return this.transcript.locator('[data-seq]').evaluateAll((rows) => rows.map((row) => Number((row as HTMLElement).dataset['seq'])));
  }

  /** The drawn rows' own words, in order. */
  async words(kind: string): Promise<string[]> {
    return this.transcript.locator(`.row.${kind} .what`).allInnerTexts();
  }
}
