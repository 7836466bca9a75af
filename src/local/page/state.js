// What the engine answered last, and acting on it.
import { Silence } from './ask.js';
import { toast } from './draw.js';
import { t } from './words.js';

export const state = {
  mode: 'day', from: null, follows: true, account: null, status: null, agenda: null, presence: null, timeline: null,
  why: null, outbox: [], conflicts: [], reminders: null, found: null, searched: '', answeredAt: null, trouble: null,
};

let refresh = async () => {};
export const onRefresh = (asks) => { refresh = asks; };

// Carries an act out and says what came of it; asks anew in any case. Null when it was refused.
export const act = async (work, done) => {
  try {
    const answer = await work();
    const said = typeof done === 'function' ? done(answer) : done;
    toast([said, ...(answer?.warnings ?? [])].join(' '));
    return answer ?? {};
  } catch (error) {
    toast(error instanceof Silence ? t('engine_gone', t('now')) : error.message, true);
    return null;
  } finally {
    await refresh();
  }
};
