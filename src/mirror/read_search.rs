//! Full-text search: the index, and the rows that are not in it yet.

use rusqlite::{Connection, Row, Rows, named_params};

use crate::mirror::event_text::texts;
use crate::mirror::read_rows::{drawn, ids_json, keys_json};
use crate::mirror::{MirrorError, Reader};
use crate::model::{EventView, Key, Window};

/// Longer questions are cut: nobody types them.
const WORDS_MAX: usize = 16;
const WORD_CHARS_MAX: usize = 100;

/// Rows that wait for the index.
pub(super) const QUEUED: &str = concat!(
    "SELECT e.id, ",
    texts!(),
    " FROM text_queue q CROSS JOIN event e ON e.id = q.event_id ORDER BY q.event_id"
);

/// From the index (without rows whose text there is stale) and from the queue: what is shown itself, and of a
/// series its unchanged occurrences. The `:limit` nearest to `:near`.
macro_rules! hits {
    ($undrafted_e:literal, $undrafted_o:literal) => {
        concat!("WITH hit (id) AS MATERIALIZED ( \
         SELECT t.rowid FROM event_text t WHERE event_text MATCH :words \
             AND t.rowid NOT IN (SELECT q.event_id FROM text_queue q) \
         UNION ALL SELECT value FROM json_each(:queued)) \
     SELECT found.id FROM ( \
         SELECT e.id, e.start_ms, e.calendar_id FROM hit CROSS JOIN event e ON e.id = hit.id \
         WHERE e.is_present = 1 AND e.kind IN ('single', 'exception') \
             AND e.start_ms < :to AND (e.end_ms > :from OR e.start_ms >= :from) ", $undrafted_e, " \
         UNION ALL \
         SELECT o.id, o.start_ms, o.calendar_id FROM hit CROSS JOIN event s ON s.id = hit.id AND s.kind = 'master' \
         CROSS JOIN event o INDEXED BY event_by_series ON o.series_id = s.id \
         WHERE o.is_present = 1 AND o.kind = 'occurrence' \
             AND o.start_ms < :to AND (o.end_ms > :from OR o.start_ms >= :from) ", $undrafted_o, ") found \
     CROSS JOIN calendar c ON c.id = found.calendar_id AND c.is_present = 1 \
     WHERE :calendars IS NULL OR c.key IN (SELECT unhex(value) FROM json_each(:calendars)) \
     ORDER BY abs(found.start_ms - :near), found.id LIMIT :limit")
    };
}
pub(super) const HITS: &str = hits!("", "");
/// The same without what drafts stand for.
pub(super) const HITS_UNDRAFTED: &str = hits!(
    "AND NOT EXISTS (SELECT 1 FROM draft d WHERE d.key = e.key)",
    "AND NOT EXISTS (SELECT 1 FROM draft d WHERE d.key = o.key)"
);

/// Drafts in the range, with their texts: too few to be worth an index.
const DRAFTS: &str = concat!(
    "SELECT d.id, d.subject, d.location, coalesce(d.body, (SELECT b.body FROM event e CROSS JOIN event_body b \
         ON b.event_id = CASE e.kind WHEN 'occurrence' THEN e.series_id ELSE e.id END WHERE e.key = d.key), \
         d.body_preview), \
     concat_ws(' ', d.organizer_name, d.organizer_address, \
         (SELECT group_concat(concat_ws(' ', a.value ->> 'name', a.value ->> 'address'), ' ') \
          FROM json_each(d.attendees) a)), \
     (SELECT group_concat(k.value, ' ') FROM json_each(d.categories) k) \
     FROM draft d WHERE",
    drawn!(),
    "AND d.start_ms < :to AND (d.end_ms > :from OR d.start_ms >= :from)"
);

/// The same tokenizer as `event_text`, in memory.
const SAME_INDEX: &str = "CREATE VIRTUAL TABLE queued USING fts5 (subject, location, body, people, categories, \
     content = '', tokenize = \"unicode61 remove_diacritics 2\")";
const SAME_INDEX_PUT: &str =
    "INSERT INTO queued (rowid, subject, location, body, people, categories) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const SAME_INDEX_HITS: &str = "SELECT rowid FROM queued WHERE queued MATCH ?1 ORDER BY rowid";

/// What to search for, and where.
#[derive(Clone)]
pub struct Question<'q> {
    /// Words as a user typed them: all must occur, the last may be a beginning.
    pub text: &'q str,
    /// Only what overlaps this; all-day rows by their dates as if in UTC.
    pub window: Window,
    /// Only these calendars; none named means all.
    pub calendars: &'q [Key],
    /// The most rows to answer.
    pub limit: usize,
    /// Of more than `limit` rows, those that begin nearest to this are answered.
    pub near_ms: i64,
}

impl Reader {
    /// The events with all words of a text in subject, place, body, people or categories; in no order. Case and
    /// diacritics do not matter.
    ///
    /// # Errors
    /// As every reading.
    pub fn search(&self, question: &Question<'_>) -> Result<Vec<EventView>, MirrorError> {
        let words = words(question.text);
        let Some(query) = match_query(&words) else { return Ok(Vec::new()) };
        let _snapshot = self.snapshot()?;
        let queued = self.queued_hits(&words, &query)?;
        let has_drafts = self.has_drafts()?;
        let sql = if has_drafts { HITS_UNDRAFTED } else { HITS };
        let hits: Vec<i64> = self.prepared(sql, "searching", |statement| {
            statement
                .query_map(
                    named_params! {
                        ":words": query, ":queued": ids_json(&queued),
                        ":from": question.window.from_ms, ":to": question.window.to_ms,
                        ":near": question.near_ms,
                        ":limit": i64::try_from(question.limit).unwrap_or(i64::MAX),
                        ":calendars": keys_json(question.calendars),
                    },
                    |row| row.get(0),
                )?
                .collect()
        })?;
        let mut found = self.by_ids(&hits)?;
        if has_drafts {
            found.extend(self.drafts_found(question, &words, &query)?);
            found.sort_by_key(|event| (event.start_ms.abs_diff(question.near_ms), event.key));
            found.truncate(question.limit);
        }
        Ok(found)
    }

    fn drafts_found(
        &self,
        question: &Question<'_>,
        words: &[String],
        query: &str,
    ) -> Result<Vec<EventView>, MirrorError> {
        let likely: Vec<Queued> = self.prepared(DRAFTS, "searching drafts", |statement| {
            let mut rows = statement.query(named_params! {
                ":from": question.window.from_ms, ":to": question.window.to_ms,
                ":calendars": keys_json(question.calendars),
            })?;
            likely(&mut rows, words)
        })?;
        if likely.is_empty() {
            return Ok(Vec::new());
        }
        let hits = hits_among(&likely, query).map_err(|e| self.named("searching drafts", e))?;
        self.drafts_by_ids(&hits)
    }

    /// The waiting rows that match. A cheap test leaves few; those are asked in a small index with the same
    /// tokenizer, so that both ways fold letters alike.
    fn queued_hits(&self, words: &[String], query: &str) -> Result<Vec<i64>, MirrorError> {
        let likely: Vec<Queued> = self.prepared(QUEUED, "reading what waits for the index", |statement| {
            likely(&mut statement.query([])?, words)
        })?;
        if likely.is_empty() {
            return Ok(Vec::new());
        }
        hits_among(&likely, query).map_err(|e| self.named("searching what waits for the index", e))
    }
}

fn likely(rows: &mut Rows<'_>, words: &[String]) -> rusqlite::Result<Vec<Queued>> {
    let mut likely = Vec::new();
    while let Some(row) = rows.next()? {
        if may_match(row, words)? {
            likely.push(queued(row)?);
        }
    }
    Ok(likely)
}

struct Queued {
    id: i64,
    texts: [Option<String>; 5],
}

fn queued(row: &Row<'_>) -> rusqlite::Result<Queued> {
    let texts = [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?];
    Ok(Queued { id: row.get(0)?, texts })
}

fn hits_among(likely: &[Queued], query: &str) -> rusqlite::Result<Vec<i64>> {
    let mut index = Connection::open_in_memory()?;
    index.execute_batch(SAME_INDEX)?;
    let filling = index.transaction()?;
    {
        let mut put = filling.prepare(SAME_INDEX_PUT)?;
        for Queued { id, texts: [subject, location, body, people, categories] } in likely {
            put.execute((id, subject, location, body, people, categories))?;
        }
    }
    filling.commit()?;
    let mut hits = index.prepare(SAME_INDEX_HITS)?;
    hits.query_map([query], |row| row.get(0))?.collect()
}

/// The words of a question.
fn words(text: &str) -> Vec<String> {
    text.split_whitespace()
        .take(WORDS_MAX)
        .map(|word| word.chars().filter(|c| *c != '\0').take(WORD_CHARS_MAX).collect())
        .collect()
}

/// As an FTS5 query: every word quoted, so that nothing a user types is an operator; words without any letter or
/// digit (which match nothing, or everything) left out; the last a prefix.
fn match_query(words: &[String]) -> Option<String> {
    let quoted: Vec<String> = words
        .iter()
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .map(|word| format!("\"{}\"", word.replace('"', "\"\"")))
        .collect();
    (!quoted.is_empty()).then(|| format!("{}*", quoted.join(" ")))
}

/// Whether the row can match at all: every run of ASCII letters and digits in the question occurs in some text,
/// where any other letter may stand for any (it may fold to it). Never false for a match.
fn may_match(row: &Row<'_>, words: &[String]) -> rusqlite::Result<bool> {
    let mut texts = [""; 5];
    for (at, text) in texts.iter_mut().enumerate() {
        *text = row.get_ref(at + 1)?.as_str_or_null()?.unwrap_or_default();
    }
    Ok(words
        .iter()
        .flat_map(|word| word.split(|c: char| !c.is_ascii_alphanumeric()))
        .filter(|run| !run.is_empty())
        .all(|run| texts.iter().any(|text| may_contain(text, run.as_bytes()))))
}

fn may_contain(text: &str, run: &[u8]) -> bool {
    text.char_indices().any(|(at, _)| text.get(at..).is_some_and(|rest| may_begin(rest, run)))
}

fn may_begin(text: &str, run: &[u8]) -> bool {
    let mut letters = text.chars().filter(|c| !is_mark(*c));
    run.iter().all(|wanted| match letters.next() {
        Some(letter) => !letter.is_ascii() || letter.eq_ignore_ascii_case(&char::from(*wanted)),
        None => false,
    })
}

/// Combining marks, which the tokenizer drops.
fn is_mark(letter: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&letter)
}
