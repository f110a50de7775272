//! Other sites, other names, and other hosts.

use std::collections::HashSet;

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;

use super::{Checks, ensure};
use crate::driver::REBOUND;
use crate::page::Outcome;

pub(super) async fn the_page_that_only_reads_offers_no_control_and_its_routes_refuse(
    checks: &Checks,
) -> Outcome {
    let (page, shop) = (&checks.page, &checks.shop);
    page.open(&format!("http://{}/", shop.reading)).await?;
    page.go_to_process("till").await?;
    page.wait_text("#detail dl", "ancestors").await?;
    let offered = page.js("return [!document.getElementById('control').hidden, !document.getElementById('level').hidden, document.querySelectorAll('#actions button').length]").await?;
    ensure(offered == json!([false, false, 0]), || format!("control is offered: {offered}"))?;
    let till = shop.till().ok_or("till is not alive")?;
    let request = json!({ "action": "kill", "path": "shop/till", "pid": till.raw(), "supervisor": Value::Null });
    let script = format!(
        "const done = arguments[0]; fetch('control', {{ method: 'POST', headers: {{ 'content-type': 'application/json' }}, body: JSON.stringify({request}) }}).then((answer) => done(answer.status), done)"
    );
    let status = page.js_async(&script).await?;
    ensure(status == json!(404) || status == json!(405), || {
        format!("the route answered {status}")
    })?;
    ensure(shop.till() == Some(till), || "the process was killed".into())
}

/// Serves a page of another site, and returns its address.
async fn other_site() -> Outcome<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let app =
        Router::new().route("/", get(|| async { Html("<!doctype html><title>other</title>") }));
    tokio::spawn(async move { axum::serve(listener, app).await });
    // Another site than 127.0.0.1, and not only another origin.
    Ok(format!("http://localhost:{port}/"))
}

pub(super) async fn a_page_of_another_site_reads_and_changes_nothing(checks: &Checks) -> Outcome {
    let (page, shop) = (&checks.page, &checks.shop);
    page.client.goto(&other_site().await?).await?;
    page.network().await?;
    let till = shop.till().ok_or("till is not alive")?;
    let order = json!({ "action": "kill", "path": "shop/till", "pid": till.raw(), "supervisor": shop.tree.pid().map(|pid| pid.raw()) });
    let attack = format!(
        "const done = arguments[0], to = 'http://{}/', body = JSON.stringify({order});
         const post = (mode, type) => fetch(to + 'control', {{ method: 'POST', mode, headers: {{ 'content-type': type }}, body }}).then((answer) => answer.type + answer.status, () => 'refused');
         const read = (path) => fetch(to + path).then(() => 'read', () => 'refused');
         Promise.all([post('no-cors', 'text/plain'), post('no-cors', 'application/x-www-form-urlencoded'), post('cors', 'application/json'),
           read('events'), read('process/1'), read('capabilities')]).then(done)",
        shop.control
    );
    let results = page.js_async(&attack).await?;
    let expected = json!(["refused", "refused", "refused", "refused", "refused", "refused"]);
    ensure(results == expected, || format!("the other site got {results}"))?;
    let form = format!(
        "const form = document.createElement('form'); form.method = 'post'; form.enctype = 'text/plain'; form.action = 'http://{}/control';
         const input = document.createElement('input'); input.name = '{{\"action\":\"kill\",\"path\":\"shop/till\",\"pid\":{},\"x\":\"'; input.value = '\"}}';
         form.append(input); document.body.append(form); form.submit()",
        shop.control,
        till.raw()
    );
    page.js(&form).await?;
    page.wait(
        "the form was answered",
        "return location.pathname === '/control' && document.readyState === 'complete'",
    )
    .await?;
    let mut orders = HashSet::new();
    let mut answers = 0;
    let events = page.network().await?;
    let is_order = |params: &Value| {
        params["request"]["url"].as_str().unwrap_or_default().ends_with("/control")
    };
    for (method, params) in &events {
        if method == "Network.requestWillBeSent" && is_order(params) {
            orders.insert(params["requestId"].to_string());
        }
    }
    for (method, params) in &events {
        if method == "Network.responseReceivedExtraInfo"
            && orders.contains(&params["requestId"].to_string())
        {
            answers += 1;
            let status = params["statusCode"].as_u64().unwrap_or_default();
            ensure([403, 404, 405, 415].contains(&status), || {
                format!("another site was answered with {status}")
            })?;
        }
    }
    ensure(answers >= 3, || format!("only {answers} requests reached the program"))?;
    ensure(shop.till() == Some(till), || "another site has killed a process".into())
}

pub(super) async fn a_foreign_name_that_resolves_to_loopback_is_refused(
    checks: &Checks,
) -> Outcome {
    let page = &checks.page;
    page.client.goto(&format!("http://{REBOUND}:{}/", checks.shop.control.port())).await?;
    let shown = page.js("return document.body.innerText").await?;
    ensure(shown.as_str().unwrap_or_default().contains("host name is not allowed"), || {
        format!("it shows {shown}")
    })?;
    page.network().await?;
    Ok(())
}

pub(super) async fn no_request_leaves_for_another_host(checks: &Checks) -> Outcome {
    let page = &checks.page;
    page.network().await?;
    checks.open().await?;
    for screen in crate::page::SCREENS {
        page.go(screen).await?;
    }
    page.go_to_process("till").await?;
    page.wait_text("#detail dl", "ancestors").await?;
    let (mut requests, mut foreign) = (0, Vec::new());
    for (method, params) in page.network().await? {
        let address =
            params["request"]["url"].as_str().or(params["url"].as_str()).unwrap_or_default();
        if method != "Network.requestWillBeSent" && method != "Network.webSocketCreated" {
            continue;
        }
        requests += 1;
        let url = Url::parse(address)?;
        let is_own =
            url.host_str() == Some("127.0.0.1") && url.port() == Some(checks.shop.control.port());
        if !is_own && !["about", "data"].contains(&url.scheme()) {
            foreign.push(address.to_owned());
        }
    }
    ensure(requests > 10, || format!("only {requests} requests were seen"))?;
    ensure(foreign.is_empty(), || format!("requests left for {foreign:?}"))
}
