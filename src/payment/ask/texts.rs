//! What a customer is asked by text, in five languages. Pure. The words to send are those that the shipped flows serve.

use crate::money::Money;
use crate::payment::ask::Want;
use crate::payment::row::order::OrderRow;

/// By language: to pay, and to confirm receipt. `{m}` is the merchant, `{n}` the number, `{a}` the amount, `{c}` what is dialled.
const TEXTS: &[(&str, [&str; 2])] = &[
    (
        "en",
        [
            "{m} asks you to pay order {n}: {a}. Dial {c} or send ORDER {n}. If you do not want it, send NO {n}.",
            "{m} asks if you received order {n}, {a}. To confirm or complain dial {c} or send ORDER {n}. Not to be asked, send NO {n}.",
        ],
    ),
    (
        "es",
        [
            "{m} le pide pagar el pedido {n}: {a}. Marque {c} o envíe PEDIDO {n}. Si no lo quiere, envíe NO {n}.",
            "{m} pregunta si recibió el pedido {n}, {a}. Para confirmar o reclamar marque {c} o envíe PEDIDO {n}. Para que no le pregunten, envíe NO {n}.",
        ],
    ),
    (
        "fr",
        [
            "{m} vous demande de payer la commande {n} : {a}. Composez {c} ou envoyez COMMANDE {n}. Sinon, envoyez NON {n}.",
            "{m} demande si vous avez reçu la commande {n}, {a}. Pour confirmer ou réclamer, composez {c} ou envoyez COMMANDE {n}. Pour ne plus être sollicité, envoyez NON {n}.",
        ],
    ),
    (
        "sw",
        [
            "{m} anakuomba ulipe oda {n}: {a}. Piga {c} au tuma ODA {n}. Kama hutaki, tuma HAPANA {n}.",
            "{m} anauliza kama umepokea oda {n}, {a}. Kuthibitisha au kulalamika piga {c} au tuma ODA {n}. Usipotaka kuulizwa, tuma HAPANA {n}.",
        ],
    ),
    (
        "zh",
        [
            "{m}请您支付订单{n}:{a}。拨打{c}或发送 订单 {n}。不需要请发送 拒绝订单 {n}。",
            "{m}询问您是否收到订单{n},{a}。确认或申诉请拨打{c}或发送 订单 {n}。不愿被询问请发送 拒绝订单 {n}。",
        ],
    ),
];

/// The text; English for a language that is not here.
#[must_use]
pub fn text(language: &str, order: &OrderRow, want: Want, code: &str) -> Option<String> {
    let (_, both) = TEXTS.iter().find(|(name, _)| *name == language).or_else(|| TEXTS.first())?;
    let [pay, receipt] = both;
    let (plain, minor) = match want {
        Want::Pay => (pay, order.amount_minor),
        Want::Receipt => (receipt, order.frozen_minor),
    };
    let amount = Money::new(minor, order.currency).to_string();
    // The merchant's name comes last: what it holds is not read as a place of ours.
    Some(
        plain
            .replace("{n}", &order.number)
            .replace("{a}", &amount)
            .replace("{c}", code)
            .replace("{m}", &order.merchant_name),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_says_all_of_it_once() {
        for (language, both) in TEXTS {
            for text in both {
                for place in ["{m}", "{a}"] {
                    assert_eq!(text.matches(place).count(), 1, "{language}: {place}");
                }
                assert_eq!(text.matches("{n}").count(), 3, "{language}");
                assert_eq!(text.matches("{c}").count(), 1, "{language}");
            }
        }
    }
}
