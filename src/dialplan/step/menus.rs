//! Menus: their own keys, and an option for each item of a list.

use std::borrow::Cow;

use crate::dialplan::event::{Answer, Channel, Collect, Input};
use crate::dialplan::program::{
    Each, INTER_DIGIT, ITEMS_A_PAGE, ITEMS_MAX, Menu, Op, PAGE_KEYS, Speech, TERMINATOR,
};
use crate::dialplan::speak::{Key, System};
use crate::dialplan::state::Point;
use crate::dialplan::step::{Control, Engine};
use crate::dialplan::value::Value;

/// The options for items that are offered now.
struct Offer {
    /// The index of the first item.
    first: usize,
    /// The keys of the items from there on.
    keys: Vec<Key>,
    /// Whether there are items before these, or after them, on other pages.
    before: bool,
    more: bool,
}

/// What an answer chooses in a menu.
pub(super) enum Chosen<'p> {
    /// An option of its own.
    Own(&'p [Op]),
    /// An item.
    Item(&'p Each, Value),
    /// The page of items before, or the next one.
    Page(u16),
    /// Nothing.
    Nothing,
}

impl<'p> Engine<'p> {
    /// A menu is come to: it is asked, unless its list is empty.
    pub(super) fn menu(&mut self, menu: &'p Menu, at: Point) -> Control {
        if let Some(each) = &menu.each
            && !each.empty.is_empty()
            && self.items(each).is_empty()
        {
            return self.block(&each.empty);
        }
        if self.state.gone {
            return self.end();
        }
        self.state.page = 0;
        self.say_menu(menu, None);
        self.wait_for_key(menu, at)
    }

    fn items(&self, each: &'p Each) -> Cow<'_, [Value]> {
        let mut items = match each.list.look(self.scope()) {
            Some(Cow::Borrowed(Value::List(items))) => Cow::Borrowed(items.as_slice()),
            Some(Cow::Owned(Value::List(items))) => Cow::Owned(items),
            _ => Cow::Borrowed(&[][..]),
        };
        match &mut items {
            Cow::Borrowed(items) => *items = items.get(..ITEMS_MAX).unwrap_or(items),
            Cow::Owned(items) => items.truncate(ITEMS_MAX),
        }
        items
    }

    /// The keys for so many items. On screens items are numbered past the menu's own keys. By voice they take the keys
    /// from 1 to 9 that are free, or, if they are too many, pages of those from 1 to 7.
    fn offer(&self, menu: &Menu, count: usize) -> Offer {
        let free = |key: &char| {
            !menu.choices.iter().any(|choice| choice.key == *key)
                && Some(*key) != self.program.back
                && Some(*key) != self.program.main
        };
        if self.state.channel != Channel::Voice {
            let is_free = |number: &u8| *number > 9 || free(&char::from(b'0' + number));
            let keys = (1..=u8::MAX).filter(is_free).take(count).map(Key::Number).collect();
            return Offer { first: 0, keys, before: false, more: false };
        }
        let keys: Vec<Key> = ('1'..='9').filter(free).map(Key::Sign).collect();
        if count <= keys.len() {
            return Offer {
                first: 0,
                keys: keys.into_iter().take(count).collect(),
                before: false,
                more: false,
            };
        }
        let mut keys: Vec<Key> = ('1'..='9').take(ITEMS_A_PAGE).filter(free).map(Key::Sign).collect();
        let a_page = keys.len().max(1);
        let last = (count - 1) / a_page;
        let page = usize::from(self.state.page).min(last);
        keys.truncate(count - page * a_page);
        Offer { first: page * a_page, keys, before: page > 0, more: page < last }
    }

    pub(super) fn say_menu(&mut self, menu: &'p Menu, instead: Option<&Speech>) {
        match instead {
            Some(speech) => self.say(speech),
            None => menu.question.iter().for_each(|speech| self.say(speech)),
        }
        self.say_items(menu);
        for choice in &menu.choices {
            if let Some(label) = &choice.label
                && let Some(mut utterance) = self.utterance(label, Some(Key::Sign(choice.key)))
            {
                utterance.language.clone_from(&choice.language);
                self.push(utterance);
            }
        }
    }

    fn say_items(&mut self, menu: &'p Menu) {
        let Some(each) = &menu.each else { return };
        let items = self.items(each).into_owned();
        let offer = self.offer(menu, items.len());
        let item_of = usize::from(each.item);
        let former = self.state.vars.get_mut(item_of).and_then(Option::take);
        for (item, key) in items.into_iter().skip(offer.first).zip(offer.keys) {
            if let Some(slot) = self.state.vars.get_mut(item_of) {
                *slot = Some(item);
            }
            if let Some(utterance) = self.utterance(&each.label, Some(key)) {
                self.push(utterance);
            }
        }
        if let Some(slot) = self.state.vars.get_mut(item_of) {
            *slot = former;
        }
        let [before, more] = PAGE_KEYS.map(Key::Sign);
        if offer.more {
            self.say_system_option(System::More, more);
        }
        if offer.before {
            self.say_system_option(System::Before, before);
        }
    }

    /// What an answer chooses.
    pub(super) fn chosen(&self, menu: &'p Menu, answer: &Answer) -> Chosen<'p> {
        let sign = answer.key();
        if let Some(choice) = sign.and_then(|key| menu.choices.iter().find(|choice| choice.key == key)) {
            return Chosen::Own(&choice.block);
        }
        let Some(each) = &menu.each else { return Chosen::Nothing };
        let key = match (self.state.channel, answer) {
            (Channel::Voice, _) => sign.map(Key::Sign),
            (_, Answer::Text(text)) => number(text).map(Key::Number),
            (_, _) => sign.and_then(|key| key.to_digit(10)?.try_into().ok()).map(Key::Number),
        };
        let Some(key) = key else { return Chosen::Nothing };
        let items = self.items(each);
        let offer = self.offer(menu, items.len());
        let chosen = offer.keys.iter().position(|offered| *offered == key);
        if let Some(item) = chosen.and_then(|index| items.get(offer.first + index)) {
            return Chosen::Item(each, item.clone());
        }
        let [before, more] = PAGE_KEYS.map(Key::Sign);
        if offer.more && key == more {
            Chosen::Page(self.state.page.saturating_add(1))
        } else if offer.before && key == before {
            Chosen::Page(self.state.page.saturating_sub(1))
        } else {
            Chosen::Nothing
        }
    }

    /// Says another page of the items and listens again.
    pub(super) fn turn_items(&mut self, menu: &'p Menu, at: Point, page: u16) {
        self.state.page = page;
        self.say_items(menu);
        self.wait_for_key(menu, at);
    }

    pub(super) fn wait_for_key(&mut self, menu: &'p Menu, at: Point) -> Control {
        let mut keys: Vec<char> = menu.choices.iter().map(|choice| choice.key).collect();
        if let Some(each) = &menu.each {
            let offer = self.offer(menu, self.items(each).len());
            keys.extend(offer.keys.iter().filter_map(|key| match key {
                Key::Sign(sign) => Some(*sign),
                Key::Number(number) => char::from_digit((*number).into(), 10),
            }));
            let [before, more] = PAGE_KEYS;
            keys.extend(offer.before.then_some(before));
            keys.extend(offer.more.then_some(more));
        }
        let global = [self.program.back, self.program.main].into_iter().flatten();
        let global = global.filter(|key| !keys.contains(key)).collect();
        self.collect(
            Collect {
                input: Input::Menu(keys),
                keys: global,
                terminator: TERMINATOR,
                barge_in: menu.barge_in,
                fresh: self.state.fresh,
                quiet: false,
                confirmation: false,
                first_digit: menu.wait,
                inter_digit: INTER_DIGIT,
            },
            at,
        )
    }
}

/// The number that a reply is, written without a sign or a zero before it.
fn number(text: &str) -> Option<u8> {
    let text = text.trim();
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| plain)
}
