// What a hostile agent, a hostile log file or a hostile colleague may have the page show, under the CSP of the real gateway.
// That nothing left for another host and that no rule of the CSP was broken is checked for every person (fixtures.ts).
import { expect, test } from './fixtures';
import { CSP } from '../fake/serve';

const MARKUP = '<script>window.pwned=1</script><img src=x onerror="window.pwned=2"><svg onload="window.pwned=3"><iframe srcdoc="<script>top.pwned=4</script>"></iframe><style>*{display:none}</style><base href="http://evil.example/">';
const LINKS = '(a)[javascript:window.pwned=5] [b](javascript:window.pwned=6) [c](JaVaScRiPt&#58;window.pwned=7) [d](data:text/html,<script>window.pwned=8</script>) <javascript:window.pwned=9> [e](vbscript:x) [fine](https://evil.example/click)';
const IMAGES = '![pixel](https://evil.example/pixel.png) ![x](http://127.0.0.1:9/y.png "t") <img src="https://evil.example/2.png"> ![r][ref]\n\n[ref]: https://evil.example/3.png';
const BROKEN = ['```\nnever closed', '| a | b |\n|--|', '> '.repeat(2_000) + 'deep', '*'.repeat(3_000) + '_'.repeat(3_000), '- '.repeat(1_000), '&lt;&#0;&#x1F;&nope;', '`'.repeat(999), '(('.repeat(900)];
const RIGHT_TO_LEFT = 'מצב הדיסק: מלא. يجب حذف السجلات. abc \u202egnp.exe\u202c def';
const UNSEEN = 'rm -rf /tmp/\u200b\u2060\ufeffx \u202etxt.exe';
const ANSI = '\u001b]0;owned\u0007\u001b[2J\u001b[1;31mred\u001b[0m\u001b[9999;9999H<b>bold?</b>\u001b[38;5;999mx\u001b[';

test('hostile words stay words', async ({ arrive, gateway }) => {
  test.setTimeout(120_000);
  const session = await gateway.session('<img src=x onerror="window.pwned=11"> \u202eeltit');
  await gateway.turn(session, `${MARKUP} ${LINKS} [[text:first]]`);
  for (const text of [MARKUP, LINKS, IMAGES, RIGHT_TO_LEFT, UNSEEN, ...BROKEN]) await gateway.turn(session, `[[text:${text}]]`);
  await gateway.turn(session, `[[bash:${UNSEEN} => ${ANSI}]] [[fail:${MARKUP} => ${MARKUP}]] [[tool:<script> {"a":"<img src=x onerror=alert(1)>"} => ${LINKS}]]`);
  await gateway.turn(session, '[[bytes:ff fe 00 0a]] [[stderr:<script>window.pwned=10</script>]] [[exit:9]]');

  const ana = await arrive('ana');
  await ana.goTo(session);
  await expect(ana.turnEnd(1)).toBeAttached();
  // The first turn may lie above what is drawn.
  await ana.goTo(session, 1);
  await expect(ana.transcript.getByText('<script>window.pwned=1</script>').first()).toBeAttached();
  await expect(ana.transcript).toContainText('⟨U+202E⟩');
  await expect(ana.transcript).toContainText('⟨U+200B⟩');
  for (const more of await ana.transcript.locator('[data-expand]').all()) await more.click();
  for (const raw of await ana.transcript.getByRole('button', { name: 'JSON', exact: true }).all()) await raw.click();
  await expect(ana.transcript.getByText('<b>bold?</b>').first()).toBeAttached();
  expect(await ana.page.evaluate(() => (window as { pwned?: unknown }).pwned)).toBeUndefined();
  expect(await ana.transcript.locator('script, img, iframe, style, base, object, embed, form').count()).toBe(0);
  const links = await ana.transcript.locator('.what > .prose a').evaluateAll((all) => all.map((link) => [link.getAttribute('href'), link.getAttribute('rel')]));
  expect(links.length).toBeGreaterThan(0);
  for (const [href, rel] of links) {
    expect(href).toMatch(/^https?:/);
    expect(rel).toBe('noopener noreferrer');
  }
  expect(await ana.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)).toBe(0);
  await expect(ana.page).not.toHaveTitle(/owned/);
});

test('a megabyte in one line does not stop the page', async ({ arrive, gateway }) => {
  const session = await gateway.session('One long line');
  await gateway.turn(session, '[[big:1048576]]');
  await gateway.turn(session, `[[bash:cat core => ${'y'.repeat(200_000)}]]`);
  const ana = await arrive('ana');
  await ana.goTo(session);
  await expect(ana.turnEnd(2)).toBeInViewport();
  const gap_ms = await ana.page.evaluate(async () => {
    let last = performance.now();
    let worst = 0;
    const beat = setInterval(() => {
      worst = Math.max(worst, performance.now() - last);
      last = performance.now();
    }, 10);
    const more = () => [...document.querySelectorAll<HTMLElement>('[data-expand]')].filter((button) => /show|Show (all|more)/.test(button.textContent ?? ''));
    for (let round = 0; round < 3; round++) {
      for (const button of more()) button.click();
      await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    }
    clearInterval(beat);
    return worst;
  });
  // Not a goal for speed: a page that hangs takes many seconds, or for ever.
  expect(gap_ms).toBeLessThan(5_000);
  await ana.composer.fill('still typing');
  await expect(ana.composer).toHaveValue('still typing');
  expect(await ana.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)).toBe(0);
});

test('the gateway sends the policy that the fault tests run under', async ({ gateway }) => {
  const { headers } = await fetch(`http://${gateway.listens}/`);
  expect(headers.get('content-security-policy')).toBe(CSP);
});
