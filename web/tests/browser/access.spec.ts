// For everybody: axe on each screen in both themes, and the whole page from the keyboard.
import { expect, test } from './fixtures';
import { violations } from './axe';
import { Person } from './person';

for (const colorScheme of ['light', 'dark'] as const) {
  test(`axe finds nothing on any screen (${colorScheme})`, async ({ arrive, browser, gateway }) => {
    const session = await gateway.session(`Accessible in ${colorScheme}`);
    await gateway.turn(session, 'disk [[speed:max]]', 'ben');
    await gateway.turn(session, '[[retry:2]] [[stderr:no API]] [[exit:1]]', 'ben');

    const nobody = await Person.arrive(browser, `${gateway.url}/`);
    await nobody.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await expect(nobody.page.getByLabel('Token')).toBeVisible();
    expect(await violations(nobody.page)).toEqual([]);
    await nobody.context.close();

    const ana = await arrive('ana');
    await ana.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    expect(await violations(ana.page), 'welcome').toEqual([]);
    await ana.openList();
    expect(await violations(ana.page), 'sessions').toEqual([]);
    await ana.sessions.getByText(`Accessible in ${colorScheme}`).click();
    await expect(ana.turnEnd(2)).toBeInViewport();
    expect(await violations(ana.page), 'transcript').toEqual([]);
    await (await ana.menu('Outline of turns')).click();
    expect(await violations(ana.page), 'outline').toEqual([]);
    await ana.page.getByRole('button', { name: 'Close the outline' }).click();
    await (await ana.menu('Find in this session')).click();
    await ana.page.getByRole('searchbox', { name: 'Find in this session' }).fill('disk');
    expect(await violations(ana.page), 'find').toEqual([]);
    await ana.page.keyboard.press('Escape');
    await ana.menu('Keys');
    expect(await violations(ana.page), 'menu').toEqual([]);
    await ana.page.getByRole('button', { name: 'Keys', exact: true }).click();
    expect(await violations(ana.page), 'keys').toEqual([]);
    await ana.page.keyboard.press('Escape');
    await gateway.prompt(session, '[[line:{"type":"assistant","message":{"content":[{"type":"tool_use","id":"t1","name":"Bash","input":{"command":"fsck"}}]}}]] [[hang]]', 'ben');
    await expect(ana.tool('Bash: running')).toBeVisible();
    expect(await violations(ana.page), 'running').toEqual([]);
    await ana.composer.fill('next');
    await expect(ana.page.getByText(/Busy/)).toBeVisible();
    expect(await violations(ana.page), 'busy').toEqual([]);
    await ana.page.getByRole('button', { name: 'Send when it ends' }).click();
    await expect(ana.transcript.locator('.pending')).toBeVisible();
    expect(await violations(ana.page), 'waiting').toEqual([]);
    await ana.page.getByRole('button', { name: 'Discard' }).click();
    await ana.stop.click();
    await expect(ana.turnEnd(3)).toContainText('Stopped');
    await ana.openList();
    await ana.sessions.getByRole('button', { name: 'New session' }).click();
    expect(await violations(ana.page), 'new session').toEqual([]);
    await ana.page.keyboard.press('Escape');

    const aud = await arrive('aud');
    await aud.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await aud.goTo(session);
    await expect(aud.turnEnd(2)).toBeAttached();
    expect(await violations(aud.page), 'auditor').toEqual([]);
  });
}

test('everything from the keyboard', async ({ arrive, gateway, isMobile }) => {
  test.skip(isMobile, 'a phone has no such keys');
  const link = gateway.invite('kim', 'operator');
  const kim = await arrive('kim');
  const { page } = kim;
  const { keyboard } = page;
  /** Goes on with Tab until `name` has the focus, as somebody without a mouse does. */
  const tabTo = async (name: RegExp) => {
    for (let presses = 0; presses < 60; presses++) {
      const focused = await page.evaluate(() => {
        const element = document.activeElement;
        if (!(element instanceof HTMLElement) || element === document.body) return '';
        return element.getAttribute('aria-label') ?? element.innerText;
      });
      if (name.test(focused)) return;
      await keyboard.press('Tab');
    }
    throw new Error(`Tab never reached ${name}`);
  };
  await tabTo(/New session/);
  await keyboard.press('Enter');
  await page.getByLabel('Title').focus();
  await keyboard.type('By keys alone');
  await tabTo(/Create/);
  await keyboard.press('Enter');
  await expect(page.getByRole('heading', { name: 'By keys alone' })).toBeVisible();
  await kim.isLive();
  await tabTo(/^Prompt/);
  await keyboard.type('[[events:30]] one');
  await keyboard.press('Enter');
  await expect(kim.turnEnd(1)).toContainText('Finished');
  await expect(kim.composer).toBeFocused();
  await keyboard.type('[[wait:60000]]');
  await keyboard.press('Enter');
  await expect(kim.stop).toBeVisible();
  await keyboard.press('Tab');
  await expect(kim.stop).toBeFocused();
  await keyboard.press('Enter');
  await expect(kim.turnEnd(2)).toContainText('Stopped');
  // Focus is never lost to nowhere, and letters outside of a field are keys.
  await keyboard.press('Escape');
  await keyboard.press('k');
  await keyboard.press('k');
  await expect(kim.transcript.locator('.row.prompt').first()).toBeInViewport();
  await keyboard.press('j');
  await expect(kim.transcript.locator('.row.prompt').last()).toBeInViewport();
  await keyboard.press('/');
  await keyboard.type('#17');
  await keyboard.press('Enter');
  await expect(kim.transcript.getByText('#17', { exact: true })).toBeInViewport();
  await keyboard.press('Escape');
  await keyboard.press('?');
  await expect(page.getByRole('dialog', { name: 'Keys' })).toBeVisible();
  await keyboard.press('Escape');
  await tabTo(/^Menu/);
  await keyboard.press('Enter');
  await tabTo(/^Archive/);
  await keyboard.press('Enter');
  await keyboard.press('Control+k');
  await keyboard.type('keys alone');
  await expect(page.getByRole('searchbox', { name: 'Search sessions' })).toHaveValue('keys alone');
  await keyboard.press('Control+k');
  await tabTo(/^Menu/);
  await keyboard.press('Enter');
  await tabTo(/Sign out/);
  await keyboard.press('Enter');
  await expect(page.getByLabel('Token')).toBeVisible();
  await page.getByLabel('Token').focus();
  await keyboard.type(link.split('#token=')[1]!);
  await keyboard.press('Enter');
  await kim.isLive();
});
