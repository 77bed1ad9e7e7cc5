//! What the SMS says that payment itself queues with a result, should the conversation not send a better one, and the SMS that
//! brings a voucher, in five languages. Pure.

use crate::money::Money;
use crate::payment::row::{PaymentRow, State, Target};

/// Writes the SMS of a payment that has just been resolved, in a language; `None` sends none.
pub type ReceiptText = fn(&PaymentRow, &str) -> Option<String>;

/// What a kind of payment is told when it was delivered, refused and reversed. `{t}` is the number, `{b}` the biller, `{a}` the
/// amount, `{r}` the reference, `{c}` a voucher's code.
struct Told {
    recharge: [&'static str; 3],
    bill: [&'static str; 3],
    /// The biller of a bill without a name.
    biller: &'static str,
    /// An order that is paid from an account held outside.
    deal: [&'static str; 3],
    /// The merchant of an order without a name.
    merchant: &'static str,
    voucher: &'static str,
    voucher_gone: &'static str,
}

const TEXTS: &[(&str, Told)] = &[
    (
        "en",
        Told {
            recharge: [
                "{t} was recharged with {a}. Ref {r}.",
                "The recharge of {t} with {a} was not made. Nothing was deducted. Ref {r}.",
                "The carrier took back the recharge of {t} with {a}. The money is on your account again. Ref {r}.",
            ],
            bill: [
                "Bill {t} of {b}: {a} is paid. Ref {r}.",
                "Bill {t} of {b}: {a} was not paid. Nothing was deducted. Ref {r}.",
                "Bill {t} of {b}: the payment of {a} was given back. The money is on your account again. Ref {r}.",
            ],
            biller: "the biller",
            deal: [
                "Order of {b}: {a} is paid. Ref {r}.",
                "Order of {b}: {a} was not paid. Nothing was deducted. Ref {r}.",
                "Order of {b}: {a} goes back to your wallet or bank. Ref {r}.",
            ],
            merchant: "the merchant",
            voucher: "Code {c} recharges {t} with {a}. Ref {r}.",
            voucher_gone: "The code for {a} was sent before. Ref {r}.",
        },
    ),
    (
        "es",
        Told {
            recharge: [
                "El {t} se recargó con {a}. Ref {r}.",
                "La recarga del {t} con {a} no se hizo. No se cobró nada. Ref {r}.",
                "La operadora anuló la recarga del {t} con {a}. El dinero está de nuevo en su cuenta. Ref {r}.",
            ],
            bill: [
                "Factura {t} de {b}: {a} pagado. Ref {r}.",
                "Factura {t} de {b}: {a} no se pagó. No se cobró nada. Ref {r}.",
                "Factura {t} de {b}: se devolvió el pago de {a}. El dinero está de nuevo en su cuenta. Ref {r}.",
            ],
            biller: "la empresa",
            deal: [
                "Pedido de {b}: {a} pagado. Ref {r}.",
                "Pedido de {b}: {a} no pagado. No se cobró nada. Ref {r}.",
                "Pedido de {b}: {a} vuelve a su billetera o banco. Ref {r}.",
            ],
            merchant: "el comercio",
            voucher: "El código {c} recarga el {t} con {a}. Ref {r}.",
            voucher_gone: "El código de {a} ya se envió. Ref {r}.",
        },
    ),
    (
        "fr",
        Told {
            recharge: [
                "Le {t} a été rechargé de {a}. Réf {r}.",
                "La recharge du {t} de {a} n'a pas été faite. Rien n'a été débité. Réf {r}.",
                "L'opérateur a repris la recharge du {t} de {a}. L'argent est de nouveau sur votre compte. Réf {r}.",
            ],
            bill: [
                "Facture {t} de {b} : {a} payé. Réf {r}.",
                "Facture {t} de {b} : {a} non payé. Rien n'a été débité. Réf {r}.",
                "Facture {t} de {b} : le paiement de {a} a été rendu. L'argent est de nouveau sur votre compte. Réf {r}.",
            ],
            biller: "l'émetteur",
            deal: [
                "Commande de {b} : {a} payé. Réf {r}.",
                "Commande de {b} : {a} non payé. Rien n'a été débité. Réf {r}.",
                "Commande de {b} : {a} retourne à votre portefeuille ou banque. Réf {r}.",
            ],
            merchant: "le marchand",
            voucher: "Le code {c} recharge le {t} de {a}. Réf {r}.",
            voucher_gone: "Le code de {a} a déjà été envoyé. Réf {r}.",
        },
    ),
    (
        "sw",
        Told {
            recharge: [
                "{t} imeongezwa salio la {a}. Kumb {r}.",
                "Salio la {a} halikuongezwa kwa {t}. Hakuna pesa iliyokatwa. Kumb {r}.",
                "Mtandao umerudisha salio la {a} la {t}. Pesa zimerudi kwenye akaunti yako. Kumb {r}.",
            ],
            bill: [
                "Bili {t} ya {b}: {a} imelipwa. Kumb {r}.",
                "Bili {t} ya {b}: {a} haikulipwa. Hakuna pesa iliyokatwa. Kumb {r}.",
                "Bili {t} ya {b}: malipo ya {a} yamerudishwa. Pesa zimerudi kwenye akaunti yako. Kumb {r}.",
            ],
            biller: "mtoa bili",
            deal: [
                "Oda ya {b}: {a} imelipwa. Kumb {r}.",
                "Oda ya {b}: {a} haikulipwa. Hakuna pesa iliyokatwa. Kumb {r}.",
                "Oda ya {b}: {a} inarudi kwenye pochi au benki yako. Kumb {r}.",
            ],
            merchant: "mfanyabiashara",
            voucher: "Namba {c} inaongeza {t} salio la {a}. Kumb {r}.",
            voucher_gone: "Namba ya {a} ilitumwa tayari. Kumb {r}.",
        },
    ),
    (
        "zh",
        Told {
            recharge: [
                "已为{t}充值{a}。参考号{r}。",
                "没有为{t}充值{a}。没有扣款。参考号{r}。",
                "运营商撤回了{t}的充值{a}。款项已退回您的账户。参考号{r}。",
            ],
            bill: [
                "{b}账单{t}:已付{a}。参考号{r}。",
                "{b}账单{t}:{a}没有支付。没有扣款。参考号{r}。",
                "{b}账单{t}:支付的{a}已退还到您的账户。参考号{r}。",
            ],
            biller: "缴费单位",
            deal: [
                "{b}的订单:已付{a}。参考号{r}。",
                "{b}的订单:{a}没有支付。没有扣款。参考号{r}。",
                "{b}的订单:{a}将退回您的钱包或银行。参考号{r}。",
            ],
            merchant: "商家",
            voucher: "充值码{c},可为{t}充值{a}。参考号{r}。",
            voucher_gone: "{a}的充值码已发送过。参考号{r}。",
        },
    ),
];

/// English for a language that is not here.
fn told(language: &str) -> Option<&'static Told> {
    TEXTS.iter().find(|(name, _)| *name == language).or_else(|| TEXTS.first()).map(|(_, told)| told)
}

/// The plain texts.
#[must_use]
pub fn plain(payment: &PaymentRow, language: &str) -> Option<String> {
    let told = told(language)?;
    let (texts, target, payee) = match &payment.target {
        Target::Phone(phone) => (&told.recharge, phone.as_str(), ""),
        Target::Bill { number, .. } => {
            (&told.bill, number.as_str(), payment.payee.as_deref().unwrap_or(told.biller))
        }
        // Of what stays in the house only the conversation tells, which is there when it is done. An account that is held outside
        // may be answered for much later.
        Target::Deal(_) if payment.provider.is_none() => return None,
        Target::Deal(_) => (&told.deal, "", payment.payee.as_deref().unwrap_or(told.merchant)),
    };
    let [delivered, refused, reversed] = texts;
    let text = match payment.state {
        State::Delivered => delivered,
        State::Refused => refused,
        State::Reversed => reversed,
        State::Created
        | State::Authorised
        | State::Submitting
        | State::Submitted
        | State::Unknown
        | State::NeedsReview => return None,
    };
    // What a biller calls itself comes last: it is not read as a place of ours.
    Some(filled(text, payment, target).replace("{b}", payee))
}

fn filled(text: &str, payment: &PaymentRow, target: &str) -> String {
    let amount = Money::new(payment.amount_minor, payment.currency);
    text.replace("{r}", &payment.reference).replace("{a}", &amount.to_string()).replace("{t}", target)
}

/// The text that brings a voucher's code, digits in groups of four; without a code it has been told before and is gone.
#[must_use]
pub fn voucher(payment: &PaymentRow, code: Option<&str>, language: &str) -> String {
    let Some(told) = told(language) else { return String::new() };
    let phone = payment.target.phone().map_or("", |phone| phone.as_str());
    let Some(code) = code else { return filled(told.voucher_gone, payment, phone) };
    let digits: Vec<char> = code.chars().collect();
    let shown = if digits.iter().all(char::is_ascii_digit) {
        digits.chunks(4).map(|four| four.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
    } else {
        code.to_owned()
    };
    filled(told.voucher, payment, phone).replace("{c}", &shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_says_the_same_things() {
        let places = |text: &str| {
            let known = ["{t}", "{b}", "{a}", "{r}", "{c}"];
            let counts = known.map(|place| text.matches(place).count());
            assert_eq!(text.matches('{').count(), counts.iter().sum::<usize>(), "{text}");
            counts
        };
        let all = |told: &Told| -> Vec<&'static str> {
            let single = [told.voucher, told.voucher_gone];
            told.recharge.into_iter().chain(told.bill).chain(told.deal).chain(single).collect()
        };
        let (_, english) = TEXTS.first().unwrap();
        for (language, told) in TEXTS {
            for (text, wanted) in all(told).into_iter().zip(all(english)) {
                // Which number a bill has may be said where it reads well.
                assert_eq!(places(text), places(wanted), "{language}: {text}");
            }
        }
        assert_eq!(TEXTS.len(), 5);
    }
}
