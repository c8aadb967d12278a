import { mount } from 'svelte';
import './app.css';
import { App } from './app/app.svelte';
import { followViewport } from './app/viewport';
import Page from './components/Page.svelte';

const app = new App();
followViewport();
const target = document.getElementById('app')!;
// What stood there while the script was on its way.
target.replaceChildren();
mount(Page, { target, props: { app } });
void app.start();
