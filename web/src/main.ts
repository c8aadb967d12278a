import { mount } from 'svelte';
import './app.css';
import { App } from './app/app.svelte';
import { followViewport } from './app/viewport';
import Page from './components/Page.svelte';

const app = new App();
followViewport();
mount(Page, { target: document.getElementById('app')!, props: { app } });
void app.start();
