/**
 * @file Which microphone and which loudspeaker, and how loud. Browsers name devices only once a
 * microphone was allowed, and not all of them let a page choose the loudspeaker.
 */

import { Playback } from '../../client/playback.js';
import { byId } from '../dom.js';
import { recall, remember } from './memory.js';

/** @import { VoiceS2S } from '../../voice-s2s.js' */

export class Devices {
  #call;
  #microphone = byId('microphone', HTMLSelectElement);
  #speaker = byId('speaker', HTMLSelectElement);
  #volume = byId('volume', HTMLInputElement);

  /**
   * @param {VoiceS2S} call
   * @param {HTMLDialogElement} sheet that shows them
   */
  constructor(call, sheet) {
    this.#call = call;
    byId('speaker-field', HTMLElement).hidden = !Playback.canChoose;
    this.#volume.value = recall('volume') || '100';
    this.#volume.addEventListener('input', () => {
      remember('volume', this.#volume.value);
      call.setVolume(Number(this.#volume.value) / 100);
    });
    this.#microphone.addEventListener('change', () => {
      remember('microphone', this.#microphone.value);
      void call.useMicrophone(this.#microphone.value);
    });
    this.#speaker.addEventListener('change', () => {
      remember('speaker', this.#speaker.value);
      void call.useSpeaker(this.#speaker.value).catch(() => {});
    });
    void call.useMicrophone(recall('microphone'));
    void call.useSpeaker(recall('speaker'));
    const list = () => void this.#list();
    navigator.mediaDevices?.addEventListener('devicechange', list);
    call.on('microphone', (state) => state === 'on' && list());
    new MutationObserver(list).observe(sheet, { attributeFilter: ['open'] });
  }

  async #list() {
    const devices = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
    fill(this.#microphone, devices.filter(({ kind }) => kind === 'audioinput'), recall('microphone'));
    fill(this.#speaker, devices.filter(({ kind }) => kind === 'audiooutput'), recall('speaker'));
  }
}

/**
 * @param {HTMLSelectElement} select its first option means: the system's choice
 * @param {MediaDeviceInfo[]} devices
 * @param {string} chosen
 */
function fill(select, devices, chosen) {
  select.length = 1;
  const named = devices.filter(({ deviceId, label }) => label && deviceId !== 'default');
  for (const { deviceId, label } of named) select.add(new Option(label, deviceId));
  select.value = named.some(({ deviceId }) => deviceId === chosen) ? chosen : '';
}
