//! What both sides of a charge are told by text at each step, in five languages. Pure.

use crate::money::{Currency, Money};
use crate::payment::charge::{Side, Stage};
use crate::payment::row::charge::ChargeRow;

/// A language and its texts: for each stage of [`Stage::ALL`] one to both, then what only the agent is asked at a request and
/// after the buyer's word, and where only the buyer is to pay. `{n}` is the number, `{a}` the amount, `{p}` the price, `{d}`
/// where to pay, `{m}` minutes.
type Texts = (&'static str, [&'static str; 11], [&'static str; 3]);

const TEXTS: &[Texts] = &[
    (
        "en",
        [
            "Charge {n}: you asked for {a} at the price {p}. We tell you when the agent has deposited it.",
            "Charge {n}: {a} was deposited. The buyer is told where to pay {p}.",
            "Charge {n}: we told the agent that {p} is paid. You hear from us within {m} minutes.",
            "Charge {n}: done. The buyer has {a}.",
            "Charge {n}: {a} was not confirmed in time and is disputed. It stays where it is until it is resolved.",
            "Charge {n} over {a} was cancelled.",
            "Charge {n} over {a}: the agent declined.",
            "Charge {n} over {a} has lapsed, nothing was deposited.",
            "Charge {n}: nobody said that it was paid. {a} went back to the agent.",
            "Charge {n}: resolved. {a} went to the buyer.",
            "Charge {n}: resolved. {a} went back to the agent.",
        ],
        [
            "Charge {n}: a buyer wants {a} for {p}. Within {m} minutes send DEPOSIT {n} or DECLINE {n}.",
            "Charge {n}: the buyer says that {p} is paid. Within {m} minutes send CONFIRM {n} and the certificate in the payment.",
            "Charge {n}: {a} is deposited. For the certificate send CERT {n}, once paid PAID {n}. Quoting it, pay {p} to: {d}",
        ],
    ),
    (
        "es",
        [
            "Carga {n}: pidió {a} al precio de {p}. Le avisaremos cuando el agente lo deposite.",
            "Carga {n}: {a} depositado. Se indica al comprador dónde pagar {p}.",
            "Carga {n}: avisamos al agente de que {p} está pagado. Le informaremos en {m} minutos.",
            "Carga {n}: lista. El comprador tiene {a}.",
            "Carga {n}: {a} no se confirmó a tiempo y está en disputa. Queda donde está hasta que se resuelva.",
            "Carga {n} de {a} cancelada.",
            "Carga {n} de {a}: el agente la rechazó.",
            "Carga {n} de {a} caducada, no se depositó nada.",
            "Carga {n}: nadie dijo que se pagó. {a} volvió al agente.",
            "Carga {n}: resuelta. {a} pasó al comprador.",
            "Carga {n}: resuelta. {a} volvió al agente.",
        ],
        [
            "Carga {n}: un comprador quiere {a} por {p}. Envíe en {m} minutos DEPOSIT {n} o DECLINE {n}.",
            "Carga {n}: el comprador dice que pagó {p}. Envíe en {m} minutos CONFIRM {n} y el certificado del pago.",
            "Carga {n}: {a} depositado. Para el certificado envíe CERT {n}, al pagar PAID {n}. Citándolo, pague {p} a: {d}",
        ],
    ),
    (
        "fr",
        [
            "Charge {n} : vous avez demandé {a} au prix de {p}. Nous vous prévenons dès le dépôt par l'agent.",
            "Charge {n} : {a} déposé. L'acheteur apprend où payer {p}.",
            "Charge {n} : l'agent sait que {p} est payé. Réponse dans les {m} minutes.",
            "Charge {n} : terminée. L'acheteur a {a}.",
            "Charge {n} : {a} n'a pas été confirmé à temps, il y a litige. La somme ne bouge pas avant la décision.",
            "Charge {n} de {a} annulée.",
            "Charge {n} de {a} : l'agent a refusé.",
            "Charge {n} de {a} expirée, rien n'a été déposé.",
            "Charge {n} : personne n'a dit que c'était payé. {a} est revenu à l'agent.",
            "Charge {n} : résolue. {a} va à l'acheteur.",
            "Charge {n} : résolue. {a} est revenu à l'agent.",
        ],
        [
            "Charge {n} : un acheteur veut {a} pour {p}. Envoyez dans les {m} minutes DEPOSIT {n} ou DECLINE {n}.",
            "Charge {n} : l'acheteur dit avoir payé {p}. Envoyez dans les {m} minutes CONFIRM {n} et le certificat du paiement.",
            "Charge {n} : {a} déposé. Pour le certificat envoyez CERT {n}, une fois payé PAID {n}. En le citant, payez {p} à : {d}",
        ],
    ),
    (
        "sw",
        [
            "Chaji {n}: umeomba {a} kwa bei ya {p}. Tutakuambia wakala akiweka.",
            "Chaji {n}: {a} imewekwa. Mnunuzi anaambiwa mahali pa kulipa {p}.",
            "Chaji {n}: tumemwambia wakala kuwa {p} imelipwa. Utapata jibu ndani ya dakika {m}.",
            "Chaji {n}: tayari. Mnunuzi amepata {a}.",
            "Chaji {n}: {a} haikuthibitishwa kwa wakati, kuna mgogoro. Inabaki ilipo hadi uamuzi.",
            "Chaji {n} ya {a} imefutwa.",
            "Chaji {n} ya {a}: wakala amekataa.",
            "Chaji {n} ya {a} imepitwa na wakati, hakuna kilichowekwa.",
            "Chaji {n}: hakuna aliyesema imelipwa. {a} imerudi kwa wakala.",
            "Chaji {n}: imeamuliwa. {a} imeenda kwa mnunuzi.",
            "Chaji {n}: imeamuliwa. {a} imerudi kwa wakala.",
        ],
        [
            "Chaji {n}: mnunuzi anataka {a} kwa {p}. Ndani ya dakika {m} tuma DEPOSIT {n} au DECLINE {n}.",
            "Chaji {n}: mnunuzi anasema amelipa {p}. Ndani ya dakika {m} tuma CONFIRM {n} na cheti kilicho kwenye malipo.",
            "Chaji {n}: {a} imewekwa. Kupata cheti tuma CERT {n}, ukilipa PAID {n}. Ukikitaja, lipa {p} kwa: {d}",
        ],
    ),
    (
        "zh",
        [
            "充值单{n}:您请求{a},价格{p}。代理存入后会通知您。",
            "充值单{n}:{a}已存入。已告知买方付款{p}的地点。",
            "充值单{n}:已通知代理{p}已付。{m}分钟内答复您。",
            "充值单{n}:完成。买方已得到{a}。",
            "充值单{n}:{a}未按时确认,现有争议。解决前款项不动。",
            "充值单{n}({a})已取消。",
            "充值单{n}({a}):代理已拒绝。",
            "充值单{n}({a})已失效,未存入任何款项。",
            "充值单{n}:无人告知已付款。{a}已退回代理。",
            "充值单{n}:已解决。{a}归买方。",
            "充值单{n}:已解决。{a}退回代理。",
        ],
        [
            "充值单{n}:买方要{a},出价{p}。请在{m}分钟内发送DEPOSIT {n}或DECLINE {n}。",
            "充值单{n}:买方说已付{p}。请在{m}分钟内发送CONFIRM {n}和付款中的凭证号。",
            "充值单{n}:{a}已存入。取凭证号发送CERT {n},付后发送PAID {n}。注明凭证号,付{p}到:{d}",
        ],
    ),
];

const MINUTE: i64 = 60_000_000;

/// The text to one side about a charge as it now stands; English for a language that is not here.
#[must_use]
pub fn text(row: &ChargeRow, side: Side, currency: Currency) -> Option<String> {
    let stage = Stage::from_number(row.state)?;
    let language = match side {
        Side::Buyer => &row.buyer_language,
        Side::Agent => &row.agent_language,
    };
    let (_, both, one) = TEXTS.iter().find(|(name, ..)| name == language).or_else(|| TEXTS.first())?;
    let [asked, claimed, pay] = one;
    let plain = match (stage, side) {
        (Stage::Requested, Side::Agent) => asked,
        (Stage::Claimed, Side::Agent) => claimed,
        (Stage::Deposited, Side::Buyer) => pay,
        _ => both.get(usize::try_from(row.state).ok()?)?,
    };
    let minutes = row.due_at.map_or(0, |at| at.saturating_sub(row.updated_at).max(0) / MINUTE);
    // Where to pay comes last: what an agent wrote there is not read as a place of ours.
    Some(
        plain
            .replace("{n}", &row.number)
            .replace("{a}", &Money::new(row.amount_minor, currency).to_string())
            .replace("{p}", &Money::new(row.price_minor, currency).to_string())
            .replace("{m}", &minutes.to_string())
            .replace("{d}", &row.details),
    )
}

/// The certificate as the buyer is told it by text, in five languages.
const CERTIFICATES: &[(&str, &str)] = &[
    ("en", "Charge {n}: the certificate is {c}. Quote it, and pay {p} to: {d}"),
    ("es", "Carga {n}: el certificado es {c}. Cítelo y pague {p} a: {d}"),
    ("fr", "Charge {n} : le certificat est {c}. Citez-le et payez {p} à : {d}"),
    ("sw", "Chaji {n}: cheti ni {c}. Kitaje, na lipa {p} kwa: {d}"),
    ("zh", "充值单{n}:凭证号是{c}。请注明,付{p}到:{d}"),
];

/// What the buyer of a charge is told of its certificate. `None` when there is no text at all.
#[must_use]
pub fn certificate(row: &ChargeRow, certificate: &str, currency: Currency) -> Option<String> {
    let language = CERTIFICATES.iter().find(|(name, _)| *name == row.buyer_language);
    let (_, plain) = language.or_else(|| CERTIFICATES.first())?;
    Some(
        plain
            .replace("{n}", &row.number)
            .replace("{c}", certificate)
            .replace("{p}", &Money::new(row.price_minor, currency).to_string())
            .replace("{d}", &row.details),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::charge::tests::row;

    #[test]
    fn every_step_is_told_to_both_in_every_language() {
        let cny = Currency::new("CNY").unwrap();
        for language in ["en", "es", "fr", "sw", "zh"] {
            for stage in Stage::ALL {
                for side in [Side::Buyer, Side::Agent] {
                    let mut row = row(*stage);
                    row.agent_language = language.to_owned();
                    row.buyer_language = language.to_owned();
                    let told = text(&row, side, cny).unwrap();
                    assert!(
                        told.contains(&row.number) && !told.contains('{'),
                        "{language} {stage:?}: {told}"
                    );
                    let pays = (*stage, side) == (Stage::Deposited, Side::Buyer);
                    assert_eq!(told.contains(&row.details), pays, "only then is told where to pay: {told}");
                }
            }
        }
        for (language, _) in CERTIFICATES {
            let row = ChargeRow { buyer_language: (*language).to_owned(), ..row(Stage::Deposited) };
            let told = certificate(&row, "204818004", cny).unwrap();
            assert!(
                told.contains("204818004") && told.contains(&row.details) && !told.contains('{'),
                "{told}"
            );
        }
        let mut other = row(Stage::Completed);
        other.buyer_language = "xx".to_owned();
        assert!(text(&other, Side::Buyer, cny).unwrap().contains("done"));
    }
}
