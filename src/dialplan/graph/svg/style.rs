//! Colours and fonts of the drawing, light and dark. Written out for each scheme, since not every viewer knows
//! variables.

/// The style sheet.
pub(super) const CSS: &str = "
text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;font-size:11.5px;fill:#2d3748}
.flow{font-size:21px;font-weight:700;fill:#1a202c}
.notes,.legend{fill:#5a6779}
.mono{font-family:ui-monospace,SFMono-Regular,Menlo,'DejaVu Sans Mono',monospace;font-size:10.5px}
.key-of{fill:#6b7a90}.note{font-size:10.5px;fill:#7a8699}.said{fill:#6b7a90;font-size:10.5px}
.title{font-size:13px;font-weight:700}
.page{fill:#f6f8fb}
.box{fill:#ffffff;stroke:#b6c2d1;stroke-width:1.2}
.rule{stroke:#e3e9f0;stroke-width:1}
.cap{fill:#f1f4f8;stroke:#aab6c5}
.cap-text{font-weight:700;font-size:10.5px;text-anchor:middle}
.frame{fill:#eaeff6;stroke:#9fb0c6;stroke-width:1.2;stroke-dasharray:6 4}
.frame-name{font-weight:700;fill:#4a5d78}
.way{fill:none;stroke:#64748b;stroke-width:1.5}
.way.back{stroke:#a78bba;stroke-width:1.3}
.way.unknown{stroke:#c53030;stroke-dasharray:5 4}
.tip{fill:#64748b}.tip.back{fill:#a78bba}.tip.unknown{fill:#c53030}
.port{fill:#64748b}.port.unknown{fill:#c53030}
.mark{fill:#4a5568}.again{fill:none;stroke:#9a6fb0;stroke-width:1.5}.again-tip{fill:#9a6fb0}
.unknown-mark{fill:#c53030}.unknown-text{fill:#ffffff;font-weight:700;font-size:10.5px;text-anchor:middle}
.unknown-row{fill:#fdecec}
.named{fill:#e8edf4}.named-text{font-size:10.5px;fill:#3b4a5e}
.icon{fill:none;stroke-width:1.4;stroke-linejoin:round;stroke-linecap:round}
.band{fill:#e6ebf2}.title{fill:#2d3748}.icon{stroke:#4a5568}.icon.full{fill:#4a5568;stroke:none}
.entry .box{fill:#eaf7f0;stroke:#4c9a6f}.entry .title{fill:#1f5c3d}
.menu .band{fill:#d9e7fb}.menu .box{stroke:#6f9bd8}.menu .title{fill:#1e3f75}.menu .icon.full{fill:#2b5ba3}
.question .band{fill:#d2f1ee}.question .box{stroke:#58aaa6}.question .title{fill:#115450}.question .icon{stroke:#1f7a75}
.secret .band{fill:#e8dcfc}.secret .box{stroke:#9a7fd1}.secret .title{fill:#452c7a}.secret .icon{stroke:#6244a6}
.secret .icon.full{fill:#6244a6}
.money .band{fill:#fce6ab}.money .box{stroke:#c58a1c;stroke-width:2.8}.money .title{fill:#6b4308}.money .icon{stroke:#96620c}
.action .band{fill:#dde5ee}.action .box{stroke:#8095ad}
.over .band{fill:#dfe4ea}
.gives-up .box{stroke:#a0522d;stroke-dasharray:6 3}
@media (prefers-color-scheme:dark){
text{fill:#d5dde8}.flow{fill:#f2f5f9}.notes,.legend{fill:#93a1b5}.key-of,.said{fill:#8c9bb0}.note{fill:#7f8da1}
.page{fill:#11161d}.box{fill:#1a212b;stroke:#3d4a5c}.rule{stroke:#2a3442}
.cap{fill:#263140;stroke:#52627a}
.frame{fill:#151c26;stroke:#46566c}.frame-name{fill:#9fb2cc}
.way{stroke:#8796ab}.way.back{stroke:#8a6f9c}.way.unknown{stroke:#f26d6d}
.tip,.port{fill:#8796ab}.tip.back{fill:#8a6f9c}.tip.unknown,.port.unknown{fill:#f26d6d}
.mark{fill:#a9b6c8}.again{stroke:#b68fcb}.again-tip{fill:#b68fcb}
.unknown-mark{fill:#d64545}.unknown-row{fill:#3a1f24}
.named{fill:#2a3442}.named-text{fill:#c3cfdd}
.band{fill:#2a3340}.title{fill:#dfe6ef}.icon{stroke:#aab7c8}.icon.full{fill:#aab7c8}
.entry .box{fill:#16281f;stroke:#4c9a6f}.entry .title{fill:#a5dfc0}
.menu .band{fill:#1d3354}.menu .box{stroke:#436aa3}.menu .title{fill:#c3dafc}.menu .icon.full{fill:#8db4ee}
.question .band{fill:#12403e}.question .box{stroke:#357b78}.question .title{fill:#b3ece8}.question .icon{stroke:#7fd0cb}
.secret .band{fill:#34245a}.secret .box{stroke:#6d53ab}.secret .title{fill:#dccbff}.secret .icon{stroke:#b79df0}
.secret .icon.full{fill:#b79df0}
.money .band{fill:#4a370d}.money .box{stroke:#d29a2e}.money .title{fill:#fde3a3}.money .icon{stroke:#f0c35c}
.action .band{fill:#26323f}.action .box{stroke:#56697f}
.over .band{fill:#2a323c}
.gives-up .box{stroke:#c77a4e}
}
";
