//! Which connections are being asked something now, so that a person who waits can see for what.

use std::sync::Arc;

use parking_lot::Mutex;

/// Names of connections that owe an answer, in the order in which they were asked.
#[derive(Debug, Default)]
pub struct Asked {
    names: Mutex<Vec<String>>,
}

/// A question that has no answer yet.
#[derive(Debug)]
pub(crate) struct Asking {
    asked: Arc<Asked>,
    name: String,
}

impl Asked {
    /// The connection that has been asked first of those that owe an answer.
    pub fn first(&self) -> Option<String> {
        self.names.lock().first().cloned()
    }

    /// Notes that a connection is asked, until the answer drops.
    pub(crate) fn begin(self: &Arc<Self>, name: &str) -> Asking {
        self.names.lock().push(name.to_owned());
        Asking { asked: Arc::clone(self), name: name.to_owned() }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let mut names = self.asked.names.lock();
        if let Some(index) = names.iter().position(|name| *name == self.name) {
            names.remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_owes_an_answer_until_it_has_given_all_of_them() {
        let asked = Arc::<Asked>::default();
        let shop = asked.begin("shop");
        let again = asked.begin("shop");
        let lake = asked.begin("lake");
        drop(shop);
        assert_eq!(asked.first().as_deref(), Some("shop"));
        drop(again);
        assert_eq!(asked.first().as_deref(), Some("lake"));
        drop(lake);
        assert_eq!(asked.first(), None);
    }
}
